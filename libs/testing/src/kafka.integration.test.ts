import { describe, expect, it } from '@jest/globals'
import { connectAdmin } from '@rates/service/kafka-admin'
import { createLogger } from '@rates/service/log'
import { topicNames } from '@rates/service/topics'
import { eventually } from './eventually.ts'
import { createTestTopics } from './kafka.ts'

describe('createTestTopics', () => {
  it('makes the topics under a prefix of their own and removes them', async () => {
    const [one, other] = await Promise.all([createTestTopics({ partitions: 2 }), createTestTopics()])
    const admin = await connectAdmin({
      brokers: one.brokers,
      clientId: 'test',
      log: createLogger('test', 'silent'),
    })
    try {
      expect((await admin.describeTopic(topicNames(one.prefix).batches)).partitions).toBe(2)
      expect((await admin.describeTopic(topicNames(other.prefix).batches)).partitions).toBe(12)
      await Promise.all([one.remove(), other.remove()])
      const left = async () => (await admin.topics()).filter((name) => name.startsWith(one.prefix)).length === 0
      await eventually(left, { what: 'the removal of the topics' })
    } finally {
      await admin.close()
    }
  })
})
