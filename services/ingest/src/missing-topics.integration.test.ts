import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { ensureTopics } from '@rates/service/topics'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { readMetrics, type Sample } from '@rates/testing/metrics-text'
import { startTestWorker } from './test-worker.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 1 })
  const { queries, objects } = line.topics
  await line.admin.deleteTopics([queries, objects])
  const areGone = async (): Promise<boolean> =>
    !(await line.admin.topics()).some((topic) => topic === queries || topic === objects)
  await eventually(areGone, { what: 'the topics being gone' })
  line.defer(async () => void (await ensureTopics(line.admin, line.prefix, { partitions: 1, replication: 1 })))
})
afterAll(() => line.close())

it('of doors that a worker does not read: it works, and sees the lanes', async () => {
  const worker = await startTestWorker(line)
  const batch = testBatch(10)
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
  expect(await line.reply(batch.id)).toMatchObject({ state: 'succeeded' })
  const lag = async (name: string): Promise<Sample[]> =>
    (await readMetrics(`http://127.0.0.1:${worker.managementPort}/metrics`)).filter((sample) => sample.name === name)
  const lanes = await eventually(async () => {
    const found = await lag('rates_ingest_consumer_lag_seconds')
    return found.length > 0 && found
  })
  expect(lanes).toHaveLength(2)
  expect(await lag('rates_door_lag_seconds')).toEqual([])
  await worker.stop()
})

it('of one that it reads: it says so, and does not start', async () => {
  await expect(startTestWorker(line, { OBJECT_BUCKETS: 'some' })).rejects.toThrow(
    `topics are missing: ${line.topics.objects}; create them`,
  )
})
