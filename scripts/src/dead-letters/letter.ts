import { MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { BadObjectClaim, readObjectClaim, type ObjectClaim } from '@rates/core/object-claim'
import { OBJECT_TYPE, readEnvelope } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { type IncomingRecord, type OutgoingRecord } from '@rates/service/kafka'
import { objectBatchId } from '@rates/service/object-batch-id'

/** A record as it lies among the dead letters; docs/wire.md names its headers. */
export interface Letter {
  /** `<partition>-<offset>` in the dead letters' topic. */
  id: string
  /** When it was set aside, in milliseconds since 1970. */
  at: number
  reason: string
  detail: string
  /** The batch that it would be a part of; undefined where its own header for that is none, and of an event. */
  batchId: string | undefined
  dryRun: boolean
  /** Where the record was at first; undefined: no worker has put it here. */
  place: { topic: string; partition: string; offset: string; time: string } | undefined
  /** What `dead-letter-truncated` says, if the value was cut. */
  cut: string | undefined
  /** Of the value as it lies here. */
  bytes: number
  /** The record's own. */
  headers: ReadonlyMap<string, string>
}

const OURS = 'dead-letter-'
/** On a record that was sent again: from which dead letter. */
export const REDRIVEN_FROM = 'redriven-from'

export function readLetter(record: IncomingRecord): Letter {
  const ours = (name: string): string | undefined => record.headers.get(OURS + name)
  const [topic, partition, offset, time] = ['topic', 'partition', 'offset', 'timestamp'].map(ours)
  const place = topic && partition && offset && time ? { topic, partition, offset, time } : undefined
  const headers = new Map([...record.headers].filter(([name]) => !name.startsWith(OURS)))
  const letter = { place, headers }
  return {
    id: `${record.partition}-${record.offset}`,
    at: record.timestamp,
    reason: ours('reason') ?? 'unknown',
    detail: ours('detail') ?? '',
    batchId: batchOf(letter, record.value),
    dryRun: headers.get('dry-run') === 'true',
    cut: ours('truncated'),
    bytes: record.value?.length ?? 0,
    ...letter,
  }
}

/** A record that is a whole batch and names none is called as the workers do: after its object, else its first place. */
function batchOf({ place, headers }: Pick<Letter, 'place' | 'headers'>, value: Uint8Array | null): string | undefined {
  const named = headers.get('batch-id')
  if (named !== undefined) return named
  if (headers.get('content-type') === OBJECT_TYPE) {
    const claim = claimOf(value)
    if (claim?.etag !== undefined) return objectBatchId({ ...claim, etag: claim.etag })
  }
  if (place === undefined || headers.has('chunk') || headers.has('control')) return undefined
  return `${place.topic}-${place.partition}-${place.offset}-${Date.parse(place.time)}`.slice(-128)
}

/** An event may be of several batches, and names none. */
export type Redrive =
  { kind: 'send'; record: OutgoingRecord; batchId: string | undefined } | { kind: 'refused'; why: string }

/**
 * The record as it is sent to its topic again, or why it is not. To do it twice is harmless: the record has a batch id,
 * from its first place if it had none of its own, and the ledger takes a batch's chunk once.
 *
 * @param state of the letter's batch in the ledger; undefined: it has none
 */
export function planRedrive(
  letter: Letter,
  value: Uint8Array | null,
  { lanes, objects }: { lanes: readonly string[]; objects: string },
  state: string | undefined,
): Redrive {
  const { place, batchId, cut, reason, headers } = letter
  const refused = (why: string): Redrive => ({ kind: 'refused', why })
  if (place === undefined) return refused('no worker has set it aside: it does not say where it was')
  if (place.topic !== objects && !lanes.includes(place.topic))
    return refused(`it came from ${place.topic}, which is no lane of this platform`)
  if (cut !== undefined) return refused(`it was cut (${cut}): what is here is not all of it`)
  const again = { ...Object.fromEntries(headers), [REDRIVEN_FROM]: letter.id }
  // An object is the same batch however often it is told of.
  if (place.topic === objects) {
    return { kind: 'send', record: { topic: objects, headers: again, value }, batchId: undefined }
  }
  const envelope = readEnvelope(headers)
  if (envelope.kind === 'fault') {
    const { header, value: given, rule } = envelope
    return refused(`its header ${header} is ${JSON.stringify(given)}, not ${rule}: it would be set aside again`)
  }
  if (batchId === undefined) return refused('it names no batch')
  if (envelope.kind === 'object' && !claimOf(value)) {
    return refused('it is no claim of an object: it would be set aside again')
  }
  const isRows = envelope.kind === 'chunk' || envelope.kind === 'whole'
  if (isRows) {
    const wrong = wrongValue(value, envelope.sha256)
    if (wrong !== undefined) return refused(`${wrong}: it would be set aside again`)
  }
  if (isRows && state !== undefined && state !== 'open')
    return refused(`it belongs to batch ${batchId}, which has ended: ${state}`)
  if (isRows && state === 'open' && reason === 'id_conflict') {
    return refused(`it contradicts batch ${batchId}, which is open`)
  }
  const record = { topic: place.topic, headers: { ...again, 'batch-id': batchId }, value }
  return { kind: 'send', record, batchId }
}

function claimOf(value: Uint8Array | null): ObjectClaim | undefined {
  try {
    return readObjectClaim(value)
  } catch (error) {
    if (error instanceof BadObjectClaim) return undefined
    throw error
  }
}

/** What no version of the platform takes, whatever the rows are. */
function wrongValue(value: Uint8Array | null, declared: string | undefined): string | undefined {
  if (value === null || value.length === 0) return 'it has no value'
  if (value.length > MAX_CHUNK_WIRE_BYTES) {
    return `it has ${value.length} bytes, and a record may have ${MAX_CHUNK_WIRE_BYTES}`
  }
  const differs = declared !== undefined && declared !== sha256(value).toString('hex')
  return differs ? 'its value has another sha256 than its header says' : undefined
}
