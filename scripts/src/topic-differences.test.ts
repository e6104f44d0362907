import { describe, expect, it } from '@jest/globals'
import { topicDifferences, type Topic } from './topic-differences.ts'

const wanted: Topic = {
  name: 'rates.batches',
  partitions: 12,
  replication: -1,
  config: { 'retention.ms': '1000', 'message.timestamp.type': 'LogAppendTime' },
}
const actual = (change: Partial<Topic>): Topic => ({ ...wanted, replication: 3, ...change })
const config = (retention: string, type = 'LogAppendTime') => ({
  config: { 'retention.ms': retention, 'message.timestamp.type': type },
})

describe('topicDifferences', () => {
  it.each([
    ['the same', {}],
    ['longer retention', config('1001')],
    ['endless retention', config('-1')],
  ])('has nothing to say about %s', (_, change) => expect(topicDifferences(wanted, actual(change))).toEqual([]))

  it('tells all that differs', () => {
    const other = actual({ partitions: 1, ...config('999', 'CreateTime') })
    expect(topicDifferences({ ...wanted, replication: 2 }, { ...other, replication: 1 })).toEqual([
      'it has 1 partition, not 12',
      'its partitions have 1 replica, not 2',
      'retention.ms is 999, not at least 1000',
      'message.timestamp.type is CreateTime, not LogAppendTime',
    ])
  })
})
