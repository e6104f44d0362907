import { connectProducer, type IncomingRecord, type KafkaSettings, type Producer } from '@rates/service/kafka'
import { findBatch } from '@rates/service/ledger/open'
import { createPool } from '@rates/service/postgres'
import { topicNames } from '@rates/service/topics'
import type pg from 'pg'
import { planRedrive, type Letter, type Redrive } from './letter.ts'

/** Sends dead letters again, after asking the ledger about each. */
export class Redriver {
  private readonly pool: pg.Pool
  private readonly topics: { lanes: readonly string[]; objects: string }
  private readonly kafka: KafkaSettings
  private producer: Producer | undefined

  constructor(kafka: KafkaSettings, databaseUrl: string, prefix: string) {
    this.kafka = kafka
    this.pool = createPool(databaseUrl, { name: 'rates-dead-letters', max: 1, log: kafka.log })
    const { batches, bulk, objects } = topicNames(prefix)
    this.topics = { lanes: [batches, bulk], objects }
  }

  /** What would be done with a letter at this moment. */
  async plan(letter: Letter, record: IncomingRecord): Promise<Redrive> {
    const batch = letter.batchId === undefined ? undefined : await findBatch(this.pool, letter.batchId, letter.dryRun)
    return planRedrive(letter, record.value, this.topics, batch?.state)
  }

  /** Resolves once Kafka has the record on all in-sync replicas. */
  async send(redrive: Extract<Redrive, { kind: 'send' }>): Promise<void> {
    this.producer ??= await connectProducer(this.kafka)
    await this.producer.send([redrive.record])
  }

  async close(): Promise<void> {
    await this.producer?.close()
    await this.pool.end()
  }
}
