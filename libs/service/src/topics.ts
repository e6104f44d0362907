import { type Admin } from './kafka-admin.ts'

export interface TopicNames {
  /** Batches of up to four chunks. */
  batches: string
  /** Larger ones, and those whose size is not known when the first chunk is sent. */
  bulk: string
  replies: string
  deadLetters: string
  /** Questions that are answered by message. */
  queries: string
  /** An object store's notifications of new objects. */
  objects: string
}

export const topicNames = (prefix: string): TopicNames => ({
  batches: `${prefix}rates.batches`,
  bulk: `${prefix}rates.batches.bulk`,
  replies: `${prefix}rates.replies`,
  deadLetters: `${prefix}rates.dead-letters`,
  queries: `${prefix}rates.queries`,
  objects: `${prefix}rates.objects`,
})

/** Those of TopicNames that are read by the services. */
export type GroupNames = Record<'batches' | 'bulk' | 'queries' | 'objects', string>

/** The consumer groups, one for each topic that is read: the two lanes' and the queries' and objects'. */
export const groupNames = (prefix: string): GroupNames => ({
  batches: `${prefix}rates-ingest`,
  bulk: `${prefix}rates-ingest-bulk`,
  queries: `${prefix}rates-queries`,
  objects: `${prefix}rates-objects`,
})

const DAY = 24 * 3600 * 1000
const WEEK = String(7 * DAY)

/**
 * Creates the topics that are not there. Record times are the broker's (LogAppendTime): the time-outs of batches run on
 * them, and a sender's clock must not decide. The dead letters take records of 2 MiB, for the reasons stand in headers.
 */
export async function ensureTopics(
  admin: Admin,
  prefix: string,
  options: { partitions?: number; replication?: number; onTopic?: (name: string, created: boolean) => void } = {},
): Promise<{ created: string[]; existing: string[] }> {
  const { partitions = 12, replication = -1 } = options
  const names = topicNames(prefix)
  const lane = { 'retention.ms': WEEK, 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': '1048588' }
  const created: string[] = []
  const existing: string[] = []
  for (const [topic, partitionCount, config] of [
    [names.batches, partitions, lane],
    [names.bulk, partitions, lane],
    [names.replies, Math.min(partitions, 3), { 'retention.ms': WEEK }],
    [names.deadLetters, 1, { 'retention.ms': String(30 * DAY), 'max.message.bytes': String(2 << 20) }],
    [
      names.queries,
      Math.min(partitions, 6),
      { 'retention.ms': String(DAY), 'message.timestamp.type': 'LogAppendTime' },
    ],
    [names.objects, Math.min(partitions, 3), { 'retention.ms': WEEK, 'message.timestamp.type': 'LogAppendTime' }],
  ] as const) {
    const isNew = await admin.createTopic(topic, partitionCount, replication, config)
    ;(isNew ? created : existing).push(topic)
    options.onTopic?.(topic, isNew)
  }
  return { created, existing }
}

/** Those of these topics that are missing, for a service to say so when it starts. */
export async function missingTopics(admin: Pick<Admin, 'topics'>, topics: readonly string[]): Promise<string[]> {
  const there = new Set(await admin.topics())
  return topics.filter((name) => !there.has(name))
}
