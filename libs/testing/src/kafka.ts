import { randomBytes } from 'node:crypto'
import { connectAdmin } from '@rates/service/kafka-admin'
import { createLogger } from '@rates/service/log'
import { ensureTopics, topicNames } from '@rates/service/topics'
import { coordinate } from './coordinate.ts'

export interface TestTopics {
  /** Precedes the names of the topics and groups. */
  prefix: string
  brokers: string[]
  remove(): Promise<void>
}

/** The platform's topics once more, under a prefix of the caller's own. */
export async function createTestTopics(options: { partitions?: number } = {}): Promise<TestTopics> {
  const brokers = coordinate('RATES_TEST_BROKERS').split(',')
  const prefix = `test-${randomBytes(6).toString('hex')}.`
  const log = createLogger('test-topics', 'silent')
  const admin = await connectAdmin({ brokers, clientId: 'test-topics', log })
  try {
    await ensureTopics(admin, prefix, { ...options, replication: 1 })
  } finally {
    await admin.close()
  }
  return {
    prefix,
    brokers,
    remove: async () => {
      const remover = await connectAdmin({ brokers, clientId: 'test-topics', log })
      try {
        await remover.deleteTopics(Object.values(topicNames(prefix)))
      } finally {
        await remover.close()
      }
    },
  }
}
