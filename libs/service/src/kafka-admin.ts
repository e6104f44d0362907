import kafkajs from 'kafkajs'
import { kafkaClient, type KafkaSettings } from './kafka.ts'
import { within } from './within.ts'

export interface PartitionEnds {
  partition: number
  /** First record that is still there. */
  low: bigint
  /** One past the last record. */
  high: bigint
}

export interface PartitionProgress extends PartitionEnds {
  /** The group's next record, or null if it has committed nothing yet. */
  committed: bigint | null
}

export interface GroupMember {
  /** As the client calls itself: a worker's name. */
  client: string
  host: string
  /** What it reads, by topic. */
  partitions: ReadonlyMap<string, readonly number[]>
}

export interface Group {
  /** Kafka's word: `Empty`, `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Dead`. */
  state: string
  members: GroupMember[]
}

export interface TopicDescription {
  partitions: number
  replication: number
  /** Of the partition that has the fewest in-sync replicas. */
  inSync: number
  /** Partitions that nobody leads: they can be neither read nor written. */
  leaderless: number
  config: Record<string, string>
}

export interface Admin {
  topics(): Promise<string[]>
  /** How many there are. */
  brokers(): Promise<number>
  /** @returns false if the topic is there already. */
  createTopic(topic: string, partitions: number, replication: number, config: Record<string, string>): Promise<boolean>
  deleteTopics(topics: string[]): Promise<void>
  describeTopic(topic: string): Promise<TopicDescription>
  /** A group that nobody has heard of is `Dead` and has no members. */
  group(groupId: string): Promise<Group>
  ends(topic: string): Promise<PartitionEnds[]>
  /** Each partition's first record at or after a time (milliseconds since 1970), its end where there is none. */
  offsetsAt(topic: string, time: number): Promise<Map<number, bigint>>
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

async function configOf(admin: kafkajs.Admin, name: string): Promise<Record<string, string>> {
  const type = kafkajs.ConfigResourceTypes.TOPIC
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name }] })
  const entries = resources[0]?.configEntries ?? []
  return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
}

/** A member that has joined and not been given its share yet has an assignment of no bytes. */
function assignment(bytes: Buffer): Map<string, number[]> {
  const decoded = bytes.length === 0 ? null : kafkajs.AssignerProtocol.MemberAssignment.decode(bytes)
  return new Map(
    Object.entries(decoded?.assignment ?? {}).map(([topic, all]) => [topic, [...all].sort((a, b) => a - b)]),
  )
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
      return {
        partitions: partitions.length,
        replication: partitions[0]?.replicas.length ?? 0,
        inSync: Math.min(...partitions.map(({ isr }) => isr.length)),
        leaderless: partitions.filter(({ leader }) => leader < 0).length,
        config: await configOf(admin, topic),
      }
    },
    async brokers() {
      return (await admin.describeCluster()).brokers.length
    },
    async group(groupId) {
      const { groups } = await admin.describeGroups([groupId])
      const members = (groups[0]?.members ?? []).map(({ clientId, clientHost, memberAssignment }) => ({
        client: clientId,
        host: clientHost.replace(/^\//, ''),
        partitions: assignment(memberAssignment),
      }))
      return { state: groups[0]?.state ?? 'Dead', members }
    },
    async ends(topic) {
      const ends = await admin.fetchTopicOffsets(topic)
      return ends.map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
    },
    async offsetsAt(topic, time) {
      const found = await admin.fetchTopicOffsetsByTimestamp(topic, time)
      return new Map(found.map(({ partition, offset }) => [partition, BigInt(offset)]))
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
