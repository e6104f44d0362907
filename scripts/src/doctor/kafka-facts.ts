import { type Admin, type TopicDescription } from '@rates/service/kafka-admin'
import { groupNames, topicNames } from '@rates/service/topics'

export interface TopicFacts extends TopicDescription {
  name: string
  /** A record whose time (the broker's, on the lanes) is this machine's future by more than CLOCK_MILLISECONDS. */
  future: boolean
}

export interface LaneFacts {
  topic: string
  group: string
  /** Of members, each as it calls itself. */
  members: string[]
  lag: number
}

export interface KafkaFacts {
  brokers: number
  /** Those of the platform that are there. */
  topics: TopicFacts[]
  missing: string[]
  lanes: LaneFacts[]
}

export const CLOCK_MILLISECONDS = 5_000

export async function askKafka(admin: Admin, prefix: string): Promise<KafkaFacts> {
  const names = topicNames(prefix)
  const groups = groupNames(prefix)
  const [brokers, all] = await Promise.all([admin.brokers(), admin.topics()])
  const wanted = Object.values(names)
  const there = new Set(all)
  const topics: TopicFacts[] = []
  for (const name of wanted.filter((each) => there.has(each))) {
    const description = await admin.describeTopic(name)
    topics.push({ name, ...description, future: description.leaderless === 0 && (await hasFuture(admin, name)) })
  }
  const lanes: LaneFacts[] = []
  for (const [topic, group] of [
    [names.batches, groups.batches],
    [names.bulk, groups.bulk],
  ] as const) {
    if (there.has(topic)) lanes.push(await askLane(admin, topic, group))
  }
  return { brokers, topics, missing: wanted.filter((each) => !there.has(each)), lanes }
}

async function hasFuture(admin: Admin, topic: string): Promise<boolean> {
  // The ends first: what comes after them has no part in the comparison.
  const ends = await admin.ends(topic)
  const at = await admin.offsetsAt(topic, Date.now() + CLOCK_MILLISECONDS)
  return ends.some(({ partition, high }) => (at.get(partition) ?? high) < high)
}

async function askLane(admin: Admin, topic: string, group: string): Promise<LaneFacts> {
  const [{ members }, progress] = await Promise.all([admin.group(group), admin.progress(group, topic)])
  return { topic, group, members: members.map(({ client }) => client), lag: lagOf(progress) }
}

/** Records that a group has not committed yet. */
export function lagOf(progress: readonly { low: bigint; high: bigint; committed: bigint | null }[]): number {
  const left = ({ low, high, committed }: (typeof progress)[number]): bigint =>
    high - (committed === null || committed < low ? low : committed)
  return Number(progress.reduce((sum, each) => sum + left(each), 0n))
}
