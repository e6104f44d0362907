import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startConsumer } from '@rates/service/kafka-consumer'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { FetchClock } from './fetch-clock.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 1 })
})
afterAll(() => line.close())

it('the clock of fetching knows what a real consumer does', async () => {
  const topic = line.topics.bulk
  // One of them fills a fetch.
  for (let i = 0; i < 4; i++) await line.send([{ topic, headers: {}, value: Buffer.alloc(900_000, i) }])
  const began = performance.now()
  const clock = new FetchClock()
  const clockAt = performance.now()
  const bytes: number[] = []
  const fetches: (number | undefined)[] = []
  let made = 0
  const watch = clock.lane({
    records(more, seconds) {
      bytes.push(more)
      fetches.push(seconds)
    },
    progress: () => made++,
  })
  const waiting: boolean[] = []
  const consumer = await startConsumer(line.kafka, {
    groupId: `${line.prefix}clock`,
    topic,
    handle: async () => {
      await sleep(200)
      waiting.push(watch.isBehind)
    },
    watch,
  })
  await eventually(() => Promise.resolve(waiting.length === 4))
  // What lies behind a record is known with it.
  expect(waiting).toEqual([true, true, true, false])
  expect(bytes).toEqual([900_000, 900_000, 900_000, 900_000])
  expect(fetches.every((seconds) => seconds !== undefined)).toBe(true)
  expect(made).toBeGreaterThanOrEqual(9) // assigned, and each came and was finished
  await eventually(() => Promise.resolve(clock.read().idle > 0.8))
  const least = (performance.now() - clockAt) / 1000
  const { busy, idle, blocked } = clock.read()
  const most = (performance.now() - began) / 1000
  const { downstream = 0, broker = 0 } = blocked
  expect(busy + idle + downstream + broker).toBeGreaterThanOrEqual(least)
  expect(busy + idle + downstream + broker).toBeLessThanOrEqual(most)
  expect(downstream).toBeGreaterThan(0.79)
  // Between the records it waited for the broker, afterwards for new ones.
  expect(broker).toBeGreaterThan(0)
  expect(clock.isWaiting).toBe(false)
  await consumer.stop()
})
