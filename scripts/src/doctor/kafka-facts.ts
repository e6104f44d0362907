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
  /** Those of them that have been there for more than a minute, by the records' own times. */
  old: number
}

export interface KafkaFacts {
  brokers: number
  /** Those of the platform that are there. */
  topics: TopicFacts[]
  missing: string[]
  lanes: LaneFacts[]
  /** Undefined: the topic is not there. */
  queries: LaneFacts | undefined
  objects: LaneFacts | undefined
}

export const CLOCK_MILLISECONDS = 5_000
const MINUTE = 60_000

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
  const ask = async (topic: string, group: string): Promise<LaneFacts | undefined> =>
    there.has(topic) ? askLane(admin, topic, group) : undefined
  const lanes = [await ask(names.batches, groups.batches), await ask(names.bulk, groups.bulk)]
  return {
    brokers,
    topics,
    missing: wanted.filter((each) => !there.has(each)),
    lanes: lanes.filter((lane) => lane !== undefined),
    queries: await ask(names.queries, groups.queries),
    objects: await ask(names.objects, groups.objects),
  }
}

async function hasFuture(admin: Admin, topic: string): Promise<boolean> {
  // The ends first: what comes after them has no part in the comparison.
  const ends = await admin.ends(topic)
  const at = await admin.offsetsAt(topic, Date.now() + CLOCK_MILLISECONDS)
  return ends.some(({ partition, high }) => (at.get(partition) ?? high) < high)
}

async function askLane(admin: Admin, topic: string, group: string): Promise<LaneFacts> {
  const [{ members }, progress, minuteAgo] = await Promise.all([
    admin.group(group),
    admin.progress(group, topic),
    admin.offsetsAt(topic, Date.now() - MINUTE),
  ])
  const until = progress.map((each) => ({ ...each, high: minuteAgo.get(each.partition) ?? each.high }))
  const old = lagOf(until)
  return { topic, group, members: members.map(({ client }) => client), lag: lagOf(progress), old }
}

/** Records that a group has not committed yet. */
export function lagOf(progress: readonly { low: bigint; high: bigint; committed: bigint | null }[]): number {
  const left = ({ low, high, committed }: (typeof progress)[number]): bigint => {
    const from = committed === null || committed < low ? low : committed
    return high > from ? high - from : 0n
  }
  return Number(progress.reduce((sum, each) => sum + left(each), 0n))
}
