import { BadEncoding, TooLarge } from './compression.ts'
import { MAX_BATCH_BYTES, type RecordCodec } from './kafka-codecs.ts'

/** The header that a record has instead of its own and its value, where its record batch could not be unpacked: why. */
export const UNREADABLE = 'rates-unreadable-record-batch'

/**
 * Of a record batch, and of a fetch: a record that says nothing takes 7 bytes there, and some 500 here; and kafkajs, which
 * passes a record batch on as arguments, ends at 120 000. No sender comes near it with records that say something.
 */
export const MAX_BATCH_RECORDS = 100_000

/** After so many bytes of one fetch, its other record batches wait for the next: together they could be any size. */
const FETCH_BYTES = MAX_BATCH_BYTES
/** Places in a record batch, from where its records begin (kafka.apache.org/documentation/#recordbatch). */
const RECORDS_AT = 61
const MAGIC_AT = 16
const ATTRIBUTES_AT = 21
const LAST_OFFSET_AT = 23
const COUNT_AT = 57
/** How far into a record batch kafkajs is when it cuts it out: behind its first offset and its length. */
const CUT_AT = 12
const COMPRESSION = 7

/** As kafkajs tells a record batch that a fetch has cut: it goes on with those before it, and fetches this one again. */
class LeftForLater extends Error {
  override name = 'KafkaJSPartialMessageError'
}

/** Of a fetch, by its response's memory: what it has become so far. */
const unpackedOf = new WeakMap<ArrayBufferLike, number>()
const recordsOf = new WeakMap<ArrayBufferLike, number>()

/**
 * A codec for kafkajs that keeps a fetch's memory bounded, and never stops a partition: what it cannot unpack becomes as
 * many records as it should have been, without headers and value but with the reason. kafkajs gives a codec a view of
 * the fetch's response, behind the head of the record batch.
 */
export function guarded({ compress, decompress }: RecordCodec): RecordCodec {
  return {
    compress,
    async decompress(packed) {
      const before = unpackedOf.get(packed.buffer) ?? 0
      if (before >= FETCH_BYTES) throw new LeftForLater('enough for one fetch')
      const records = await decompress(packed).catch((error: unknown) => {
        if (error instanceof TooLarge || error instanceof BadEncoding) return husks(recordsIn(packed), error.message)
        throw error
      })
      unpackedOf.set(packed.buffer, before + records.length)
      return records
    },
  }
}

/**
 * Keeps the number of a fetch's records bounded, whether they are compressed or not, by what the heads tell: one record,
 * the last, without headers and value but with the reason, stands for a record batch of too many.
 * @param cut of the fetch's response, from CUT_AT in a record batch to its end
 * @returns it, or what is to be read instead of it
 */
export function fewRecords(cut: Buffer): Buffer {
  if (cut.length < RECORDS_AT - CUT_AT || cut[MAGIC_AT - CUT_AT] !== 2) return cut
  const count = cut.readInt32BE(COUNT_AT - CUT_AT)
  if (count > MAX_BATCH_RECORDS) {
    const head = Buffer.from(cut.subarray(0, RECORDS_AT - CUT_AT))
    head.writeInt16BE(head.readInt16BE(ATTRIBUTES_AT - CUT_AT) & ~COMPRESSION, ATTRIBUTES_AT - CUT_AT)
    head.writeInt32BE(1, COUNT_AT - CUT_AT)
    const reason = `${count} records are more than ${MAX_BATCH_RECORDS}`
    const only = Buffer.concat([head, husk(cut.readInt32BE(LAST_OFFSET_AT - CUT_AT), reason)])
    // What follows is not read, but what is shorter than its length says is taken for one that the fetch has cut.
    return Buffer.concat([only, Buffer.alloc(Math.max(0, cut.length - only.length))])
  }
  const before = recordsOf.get(cut.buffer) ?? 0
  if (before > 0 && before + count > MAX_BATCH_RECORDS) throw new LeftForLater('enough for one fetch')
  recordsOf.set(cut.buffer, before + count)
  return cut
}

/** How many records the head of the record batch tells. */
function recordsIn(packed: Buffer): number {
  const head = Buffer.from(packed.buffer, packed.byteOffset - RECORDS_AT, RECORDS_AT)
  const count = head.readInt32BE(COUNT_AT)
  if (head[MAGIC_AT] !== 2 || count < 1) throw new Error('kafkajs does not give the records behind their head')
  return count
}

/** Records with the offsets that a producer gives: 0, 1, 2, … from the first. */
const husks = (count: number, reason: string): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, offset) => husk(offset, reason)))

/** @param offset since the record batch's first */
function husk(offset: number, reason: string): Buffer {
  const [name, text] = [Buffer.from(UNREADABLE), Buffer.from(reason)]
  const header = [varint(1), varint(name.length), name, varint(text.length), text]
  // attributes, time since the first, offset since the first, no key, no value, one header
  const record = Buffer.concat([varint(0), varint(0), varint(offset), varint(-1), varint(-1), ...header])
  return Buffer.concat([varint(record.length), record])
}

/** Kafka's: zigzag, seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -value * 2 - 1 : value * 2
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}
