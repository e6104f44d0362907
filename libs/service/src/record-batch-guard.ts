import { BadEncoding, TooLarge } from './compression.ts'
import { MAX_BATCH_BYTES, type RecordCodec } from './kafka-codecs.ts'

/** The header that a record has instead of its own and its value, where its record batch could not be unpacked: why. */
export const UNREADABLE = 'rates-unreadable-record-batch'

/** After so many bytes of one fetch, its other record batches wait for the next: together they could be any size. */
const FETCH_BYTES = MAX_BATCH_BYTES
/** Places in a record batch, from where its records begin (kafka.apache.org/documentation/#recordbatch). */
const RECORDS_AT = 61
const MAGIC_AT = 16

/** As kafkajs tells a record batch that a fetch has cut: it goes on with those before it, and fetches this one again. */
class LeftForLater extends Error {
  override name = 'KafkaJSPartialMessageError'
}

const unpackedOf = new WeakMap<ArrayBufferLike, number>()

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

/** How many records the head of the record batch tells. */
function recordsIn(packed: Buffer): number {
  const head = Buffer.from(packed.buffer, packed.byteOffset - RECORDS_AT, RECORDS_AT)
  const count = head.readInt32BE(RECORDS_AT - 4)
  if (head[MAGIC_AT] !== 2 || count < 1) throw new Error('kafkajs does not give the records behind their head')
  return count
}

/** Records with the offsets that a producer gives: 0, 1, 2, … from the first. */
function husks(count: number, reason: string): Buffer {
  const parts: Buffer[] = []
  const [name, text] = [Buffer.from(UNREADABLE), Buffer.from(reason)]
  const header = [varint(1), varint(name.length), name, varint(text.length), text]
  for (let offset = 0; offset < count; offset++) {
    // attributes, time since the first, offset since the first, no key, no value, one header
    const record = Buffer.concat([varint(0), varint(0), varint(offset), varint(-1), varint(-1), ...header])
    parts.push(varint(record.length), record)
  }
  return Buffer.concat(parts)
}

/** Kafka's: zigzag, seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -value * 2 - 1 : value * 2
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}
