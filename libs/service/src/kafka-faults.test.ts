import { expect, it } from '@jest/globals'
import { kafkaWord } from './kafka-faults.ts'

it.each([
  [{ type: 'MESSAGE_TOO_LARGE' }, 'MESSAGE_TOO_LARGE'],
  [{ name: 'KafkaJSNumberOfRetriesExceeded', cause: { cause: { type: 'REQUEST_TIMED_OUT' } } }, 'REQUEST_TIMED_OUT'],
  [new Error('away', { cause: new Error('no socket') }), undefined],
  ['away', undefined],
  [null, undefined],
])('a fault of Kafka is known by its word: %j', (error, word) => {
  expect(kafkaWord(error)).toBe(word)
})
