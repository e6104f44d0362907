import { type PartitionProgress } from '@rates/service/kafka-admin'
import { count } from './progress.ts'
import { indent, plural, table, utc } from './text.ts'

/** What the ledger knows of a partition: the last record that a stored chunk came by. */
export interface LastStored {
  offset: bigint
  /** Milliseconds since 1970, the broker's. */
  time: number
}

export interface LaneFacts {
  topic: string
  group: string
  progress: PartitionProgress[]
  /** The first record at or after the wanted time, by partition. */
  at: ReadonlyMap<number, bigint>
  /** Undefined: the ledger could not be asked. */
  ledger: ReadonlyMap<number, LastStored> | undefined
  /** Milliseconds; infinite where records are kept for ever. */
  retention: number
}

export interface PartitionPlan {
  partition: number
  /** The group's next record now; null: it has committed none, and starts from the earliest. */
  from: bigint | null
  /** Its next record afterwards. Never after `from`. */
  to: bigint | null
  /** Records that will be read again. */
  again: bigint
  /** Records after the wanted time, or after what the ledger has, are not kept any more. */
  lost: boolean
  /** At most so many records are neither in the ledger nor read again. */
  unread: bigint
  /** When the last record came that the ledger has, if some are unread. */
  ledgerEnds: number | null
}

export interface LanePlan {
  topic: string
  group: string
  partitions: PartitionPlan[]
}

/** Where the offsets of a lane's group go for the wanted time (milliseconds since 1970). */
export function planRewind(lane: LaneFacts, time: number, now: number): LanePlan {
  const partitions = lane.progress.map((each) => planPartition(lane, each, time, now))
  partitions.sort((a, b) => a.partition - b.partition)
  return { topic: lane.topic, group: lane.group, partitions }
}

function planPartition(lane: LaneFacts, progress: PartitionProgress, time: number, now: number): PartitionPlan {
  const { partition, low, committed: from } = progress
  const wanted = lane.at.get(partition) ?? progress.high
  const to = from === null || wanted >= from ? from : wanted
  const stored = lane.ledger?.get(partition)
  const expired = time < now - lane.retention
  const lost = wanted <= low && low > 0n && (stored ? stored.offset + 1n < low : expired)
  const known = lane.ledger === undefined ? to : stored ? stored.offset + 1n : low
  const unread = to !== null && known !== null && to > known ? to - larger(known, low) : 0n
  return {
    partition,
    from,
    to,
    // What retention has deleted since is not there to be read.
    again: to === null || from === null ? 0n : larger(from, low) - larger(to, low),
    lost,
    unread: unread > 0n ? unread : 0n,
    ledgerEnds: unread > 0n ? (stored?.time ?? null) : null,
  }
}

const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other)

export const recordsAgain = (lanes: readonly LanePlan[]): number =>
  Number(lanes.flatMap(({ partitions }) => partitions).reduce((sum, { again }) => sum + again, 0n))

/** The partitions of a lane whose offsets change. */
export function changesOf({ partitions }: LanePlan): Map<number, bigint> {
  return new Map(partitions.flatMap(({ partition, from, to }) => (to === null || to === from ? [] : [[partition, to]])))
}

/** The plan as a person reads it: a table of each lane, with the partitions whose offset changes. */
export function describePlan(lanes: readonly LanePlan[]): string[] {
  return lanes.flatMap(({ topic, group, partitions }) => {
    const changed = partitions.filter(({ from, to }) => from !== to)
    const rows = changed.map(({ partition, from, to, again }) => [
      String(partition),
      String(from),
      String(to),
      count(Number(again)),
    ])
    const columns = ['partition', 'from', 'to', 'read again'].map((title) => ({ title, right: true }))
    const others = partitions.length - changed.length
    return [
      `${topic}, read by ${group}`,
      ...(changed.length === 0 ? [] : indent(table(columns, rows))),
      ...(others === 0 ? [] : [`  ${plural(others, 'partition')}: nothing to set back`]),
      '',
    ]
  })
}

/** What a person has to know before they say yes. */
export function warningsOf(lanes: readonly LanePlan[], time: number): string[] {
  const warnings: string[] = []
  for (const { topic, partitions } of lanes) {
    const lost = partitions.filter((each) => each.lost).map(({ partition }) => partition)
    if (lost.length > 0) {
      warnings.push(
        `${topic}: records after ${iso(time)} are not kept any more on ${listed(lost)}: what they brought is lost, ` +
          'unless the ledger has it or it is sent again.',
      )
    }
    const unread = partitions.filter((each) => each.unread > 0n)
    if (unread.length === 0) continue
    const records = Number(unread.reduce((sum, each) => sum + each.unread, 0n))
    const ends = unread.map(({ ledgerEnds }) => ledgerEnds)
    const earlier = ends.some((end) => end === null)
      ? 'an earlier time, such as that of the backup less an hour'
      : `--to ${iso(Math.min(...(ends as number[])))}`
    warnings.push(
      `${topic}: the ledger ends before ${iso(time)}. Up to ${plural(records, 'record')} on ` +
        `${listed(unread.map(({ partition }) => partition))} would stay unread (what was no part of a batch counts ` +
        `too). To have them read: ${earlier}.`,
    )
  }
  return warnings
}

const iso = (time: number): string => new Date(time).toISOString()

const listed = (partitions: readonly number[]): string =>
  `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`

/** The sentence that says what is going to happen. */
export function summarizePlan(lanes: readonly LanePlan[], time: number): string {
  const records = recordsAgain(lanes)
  return records === 0
    ? `Nothing to set back: no group is past ${utc(iso(time))}.`
    : `${plural(records, 'record')} that came since ${utc(iso(time))} will be read again; what the ledger has is left as it is.`
}
