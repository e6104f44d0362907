import { type Admin } from './kafka-admin.ts'

export interface TopicNames {
  /** Batches of up to four chunks. */
  batches: string
  /** Larger ones, and those whose size is not known when the first chunk is sent. */
  bulk: string
  replies: string
  deadLetters: string
}

export const topicNames = (prefix: string): TopicNames => ({
  batches: `${prefix}rates.batches`,
  bulk: `${prefix}rates.batches.bulk`,
  replies: `${prefix}rates.replies`,
  deadLetters: `${prefix}rates.dead-letters`,
})

/** The consumer groups, one for each lane. */
export const groupNames = (prefix: string): { batches: string; bulk: string } => ({
  batches: `${prefix}rates-ingest`,
  bulk: `${prefix}rates-ingest-bulk`,
})

const WEEK = String(7 * 24 * 3600 * 1000)

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
    [names.deadLetters, 1, { 'retention.ms': String(30 * 24 * 3600 * 1000), 'max.message.bytes': String(2 << 20) }],
  ] as const) {
    const isNew = await admin.createTopic(topic, partitionCount, replication, config)
    ;(isNew ? created : existing).push(topic)
    options.onTopic?.(topic, isNew)
  }
  return { created, existing }
}

/** The topics that are missing, for a service to say so when it starts. */
export async function missingTopics(admin: Admin, prefix: string): Promise<string[]> {
  const there = new Set(await admin.topics())
  return Object.values(topicNames(prefix)).filter((name) => !there.has(name))
}
