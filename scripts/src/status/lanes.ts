import { type Admin } from '@rates/service/kafka-admin'
import { groupNames, topicNames } from '@rates/service/topics'
import { kafkaSettings, requireBrokers, withAdmin } from '../brokers.ts'
import { lagOf } from '../doctor/kafka-facts.ts'

export interface LaneStatus {
  topic: string
  partitions: number
  /** Records that no worker has taken to their end. */
  lag: number
  workers: { name: string; host: string; partitions: readonly number[] }[]
}

export interface KafkaStatus {
  lanes: LaneStatus[]
  /** Null: the topic is not there. Its readers are the API's processes. */
  queries: LaneStatus | null
  /** Its readers are the workers that take objects. */
  objects: LaneStatus | null
  deadLetters: number
}

/** @throws CommandFailure where no broker answers */
export async function askKafkaStatus(list: string, prefix: string): Promise<KafkaStatus> {
  const brokers = list.split(',')
  await requireBrokers(brokers)
  return withAdmin(kafkaSettings(brokers, 'rates-status'), async (admin) => {
    const topics = topicNames(prefix)
    const groups = groupNames(prefix)
    const there = new Set(await admin.topics())
    const missing = [topics.batches, topics.bulk, topics.deadLetters].filter((topic) => !there.has(topic))
    if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}; "rates topics" creates them`)
    const [fast, bulk, queries, objects, letters] = await Promise.all([
      askLane(admin, topics.batches, groups.batches),
      askLane(admin, topics.bulk, groups.bulk),
      there.has(topics.queries) ? askLane(admin, topics.queries, groups.queries) : null,
      there.has(topics.objects) ? askLane(admin, topics.objects, groups.objects) : null,
      admin.ends(topics.deadLetters),
    ])
    const deadLetters = Number(letters.reduce((sum, { low, high }) => sum + high - low, 0n))
    return { lanes: [fast, bulk], queries, objects, deadLetters }
  })
}

async function askLane(admin: Admin, topic: string, group: string): Promise<LaneStatus> {
  const [{ members }, progress] = await Promise.all([admin.group(group), admin.progress(group, topic)])
  const workers = members.map(({ client, host, partitions }) => ({
    name: client,
    host,
    partitions: partitions.get(topic) ?? [],
  }))
  workers.sort((a, b) => a.name.localeCompare(b.name))
  return { topic, partitions: progress.length, lag: lagOf(progress), workers }
}
