import { kafkaClient, type KafkaSettings } from './kafka.ts'
import { within } from './within.ts'

/** A group has members: whoever sets its offsets now would be overruled by their next commit. */
export class GroupInUse extends Error {
  constructor(groupId: string) {
    super(`the group ${groupId} has other members`)
    this.name = 'GroupInUse'
  }
}

const JOIN_SECONDS = 60

/**
 * Sets a group's offsets on partitions of one topic, as its only member: Kafka then refuses the commit of anybody who
 * had been a member before, and ours if somebody joins meanwhile. Not admin.setOffsets, which does the same but waits out
 * a fetch of five seconds. @throws GroupInUse
 */
export async function setOffsets(
  settings: KafkaSettings,
  groupId: string,
  topic: string,
  offsets: ReadonlyMap<number, bigint>,
): Promise<void> {
  const kafka = kafkaClient(settings)
  const admin = kafka.admin()
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 100,
    maxBytesPerPartition: 1,
    allowAutoTopicCreation: false,
    retry: { retries: 5, restartOnFailure: () => Promise.resolve(false) },
  })
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics[0]!.partitions.map(({ partitionId }) => partitionId)
    const { groups } = await admin.describeGroups([groupId])
    if (groups[0]!.members.length > 0) throw new GroupInUse(groupId)
    const joined = new Promise<number[]>((resolve, reject) => {
      consumer.on('consumer.group_join', ({ payload }) => resolve(payload.memberAssignment[topic] ?? []))
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
      setTimeout(() => reject(new Error(`could not join ${groupId} in ${JOIN_SECONDS} s`)), JOIN_SECONDS * 1000).unref()
    })
    joined.catch(() => undefined)
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    // It reads nothing: what a first fetch brings before the pause is neither handled nor committed.
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: () => Promise.resolve() })
    consumer.pause([{ topic }])
    const ours = await joined
    if (ours.length !== partitions.length) throw new GroupInUse(groupId)
    const commits = [...offsets].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))
    await consumer.commitOffsets(commits)
  } finally {
    await within(10, consumer.disconnect())
    await within(5, admin.disconnect())
  }
}
