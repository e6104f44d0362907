import { databaseSettings, kafkaSettings, loadConfig, setting } from '@rates/service/config'
import { createLogger } from '@rates/service/log'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { z } from 'zod'
import { grant, type Grantees } from './grants.ts'
import { patiently, runJob } from './job.ts'
import { asMigrator, migrate } from './migrate.ts'

// The migration Job: brings a database to the newest schema, makes the topics, gives roles what they need, and says what
// it did. Each is harmless to repeat.

const schema = z.object({
  ...databaseSettings,
  ...kafkaSettings,
  /** Without brokers there are no topics to make. */
  KAFKA_BROKERS: kafkaSettings.KAFKA_BROKERS.optional(),
  GRANT_INGEST_TO: setting.list.default([]),
  GRANT_API_TO: setting.list.default([]),
  GRANT_READ_TO: setting.list.default([]),
  TOPIC_PARTITIONS: setting.number(1, 10_000, 12),
  /** -1: as the brokers have it. */
  TOPIC_REPLICATION: setting.number(-1, 100, -1),
})

type Settings = Readonly<z.output<typeof schema>>

runJob('migration', async () => {
  const settings = loadConfig(schema)
  const url = settings.DATABASE_URL
  const applied = await patiently(() => migrate(url, (name) => console.log(`applied ${name}`)))
  console.log(applied.length === 0 ? 'nothing to do: the schema is up to date' : `${applied.length} migrations applied`)
  // Before the grants, by which wait.ts sees that all is ready: a worker ends where topics are missing.
  if (settings.KAFKA_BROKERS !== undefined) await makeTopics(settings, settings.KAFKA_BROKERS)
  const grantees: Grantees = {
    ingest: settings.GRANT_INGEST_TO,
    api: settings.GRANT_API_TO,
    reader: settings.GRANT_READ_TO,
  }
  const told = Object.entries(grantees).flatMap(([part, roles]) =>
    roles.length > 0 ? [`${part} to ${roles.join(', ')}`] : [],
  )
  if (told.length > 0) {
    await patiently(() => asMigrator(url, (client) => grant(client, grantees)))
    console.log(`granted: ${told.join('; ')}`)
  }
})

async function makeTopics(settings: Settings, brokers: string[]): Promise<void> {
  // Loaded here: a Job that only migrates does without Kafka's client.
  const { connectAdmin } = await import('@rates/service/kafka-admin')
  const { ensureTopics } = await import('@rates/service/topics')
  const { KAFKA_PREFIX: prefix, TOPIC_PARTITIONS: partitions, TOPIC_REPLICATION: replication } = settings
  const kafka = {
    brokers,
    clientId: 'rates-migrate',
    log: createLogger('migration', 'fatal'),
    security: kafkaSecurity(settings),
  }
  const { created, existing } = await patiently(async () => {
    const admin = await connectAdmin(kafka)
    try {
      return await ensureTopics(admin, prefix, { partitions, replication })
    } finally {
      await admin.close()
    }
  })
  console.log(`topics: ${created.length} new, ${existing.length} there`)
}
