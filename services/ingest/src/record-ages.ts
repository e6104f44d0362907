import { type Admin, type PartitionProgress } from '@rates/service/kafka-admin'

const FIRST_STEP_MILLISECONDS = 2_000
/** Who has not looked for so long, begins anew. */
const STALE_MILLISECONDS = 30_000
/** Longer than this no topic keeps anything that a deadline could be about. */
const LONGEST_MILLISECONDS = 30 * 24 * 3_600_000

/**
 * How long the next unread record of each partition of one topic has lain there. To read it would take a consumer; but
 * who sees the ends of the partitions every few seconds knows when each record came, to these seconds. Of those that
 * were there before the first look Kafka itself is asked, by time, the first offset since then: with steps that double,
 * so that the age is right to a half at worst, and a dozen questions do.
 */
export class RecordAges {
  /** By partition: its ends as they were seen, oldest first; offsets below `high` had come by `at`. */
  private readonly seen = new Map<number, { at: number; high: bigint }[]>()
  private lookedAt = 0
  private readonly admin: Pick<Admin, 'offsetsAt'>
  private readonly topic: string
  private readonly now: () => number

  constructor(admin: Pick<Admin, 'offsetsAt'>, topic: string, now: () => number = Date.now) {
    this.admin = admin
    this.topic = topic
    this.now = now
  }

  /** @returns seconds by partition; 0: everything was read */
  async of(partitions: readonly PartitionProgress[]): Promise<Map<number, number>> {
    const now = this.now()
    if (now - this.lookedAt > STALE_MILLISECONDS) this.seen.clear()
    this.lookedAt = now
    const unknown: { partition: number; next: bigint }[] = []
    for (const { partition, low, high, committed } of partitions) {
      const next = committed ?? low
      const ends = this.seen.get(partition) ?? []
      if (!this.seen.has(partition) && next < high) unknown.push({ partition, next })
      // What was read, or is as it was, need not be kept.
      while (ends.length > 0 && ends[0]!.high <= next) ends.shift()
      if (next < high && ends.at(-1)?.high !== high) ends.push({ at: now, high })
      this.seen.set(partition, ends)
    }
    if (unknown.length > 0) await this.ask(unknown, now)
    return new Map(
      [...this.seen].map(([partition, [first]]) => [partition, first ? Math.max(0, now - first.at) / 1000 : 0]),
    )
  }

  /** Finds for each a time since which its next record has been there. */
  private async ask(unknown: { partition: number; next: bigint }[], now: number): Promise<void> {
    let open = unknown
    for (let age = FIRST_STEP_MILLISECONDS; open.length > 0 && age < LONGEST_MILLISECONDS; age *= 2) {
      const firstSince = await this.admin.offsetsAt(this.topic, now - age)
      // Where the first record since then lies behind ours, ours is older.
      open = open.filter(({ partition, next }) => (firstSince.get(partition) ?? 0n) > next)
      for (const { partition } of open) this.seen.get(partition)![0]!.at = now - age
    }
  }
}
