import kafkajs from 'kafkajs'
import { kafkaClient, type KafkaSettings } from './kafka.ts'
import { within } from './within.ts'

export interface PartitionProgress {
  partition: number
  /** First record that is still there. */
  low: bigint
  /** One past the last record. */
  high: bigint
  /** The group's next record, or null if it has committed nothing yet. */
  committed: bigint | null
}

export interface Admin {
  topics(): Promise<string[]>
  /** @returns false if the topic is there already. */
  createTopic(topic: string, partitions: number, replication: number, config: Record<string, string>): Promise<boolean>
  deleteTopics(topics: string[]): Promise<void>
  describeTopic(topic: string): Promise<{ partitions: number; replication: number; config: Record<string, string> }>
  /** How far a group has read each partition of a topic. */
  progress(groupId: string, topic: string): Promise<PartitionProgress[]>
  close(): Promise<void>
}

/** A topic that was created a moment ago is not known to every broker, or has no leaders yet. */
async function untilLed(admin: kafkajs.Admin, topic: string): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      if (topics[0]?.partitions.every(({ leader }) => leader >= 0)) return
    } catch (error) {
      if ((error as { retriable?: boolean }).retriable !== true || performance.now() > deadline) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export async function connectAdmin(settings: KafkaSettings): Promise<Admin> {
  const admin = kafkaClient(settings).admin()
  await admin.connect()
  return {
    topics: () => admin.listTopics(),
    async createTopic(topic, numPartitions, replicationFactor, config) {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      const created = await admin.createTopics({
        // It gives up where a broker does not know the topic yet: we wait by ourselves.
        waitForLeaders: false,
        topics: [{ topic, numPartitions, replicationFactor, configEntries }],
      })
      if (created) await untilLed(admin, topic)
      return created
    },
    deleteTopics: (topics) => admin.deleteTopics({ topics }),
    async describeTopic(topic) {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions ?? []
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
      })
      const config = Object.fromEntries(
        (resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
      )
      return { partitions: partitions.length, replication: partitions[0]?.replicas.length ?? 0, config }
    },
    async progress(groupId, topic) {
      const [ends, offsets] = await Promise.all([
        admin.fetchTopicOffsets(topic),
        admin.fetchOffsets({ groupId, topics: [topic] }),
      ])
      const committed = new Map(offsets[0]?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
      return ends.map(({ partition, low, high }) => {
        const next = committed.get(partition) ?? -1n
        return { partition, low: BigInt(low), high: BigInt(high), committed: next < 0n ? null : next }
      })
    },
    close: () => within(5, admin.disconnect()),
  }
}
