import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createPool } from '@rates/service/postgres'
import { watchedPool } from '@rates/service/watched-pool'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { startLine, type Line } from '@rates/testing/line'
import { readMetrics, sum } from '@rates/testing/metrics-text'
import { holdPacks } from '@rates/testing/workers'
import { LoopClock } from './loop-clock.ts'
import { startTestWorker, type TestWorker } from './test-worker.ts'

// What the loop waits for, and whether that is a reason to end the worker.

let line: Line
let proxy: FaultProxy
let worker: TestWorker

beforeAll(async () => {
  line = await startLine({ partitions: 1 })
  proxy = await startFaultProxy(line.databaseUrl)
  line.defer(() => proxy.close())
  // Longer than the longest pause between two tries.
  worker = await startTestWorker(line, { DATABASE_URL: proxy.url, LIVENESS_STALL_SECONDS: '7' })
})
afterAll(() => line.close())

const send = (batch: TestBatch): Promise<void> =>
  line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
const read = () => readMetrics(`http://127.0.0.1:${worker.managementPort}/metrics`)
const blocked = async (stage: string, on: string): Promise<number> =>
  sum(await read(), 'rates_ingest_stage_blocked_seconds_total', { stage, on })
const alive = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${worker.managementPort}/livez`)).ok

describe('a worker that waits', () => {
  it('for a lock says so, and for long without trying again is not alive', async () => {
    const batch = testBatch(10)
    const packs = await holdPacks(line)
    const before = await blocked('copy', 'db_lock')
    await send(batch)
    await packs.waiting(1)
    await eventually(async () => (await blocked('copy', 'db_lock')) > before + 2)
    expect(await alive()).toBe(true)
    const samples = await read()
    const lock = { wait_event_type: 'Lock', wait_event: 'relation' }
    expect(sum(samples, 'rates_db_wait_samples_total', lock)).toBeGreaterThan(1)
    expect(
      sum(samples, 'rates_ingest_stage_blocked_seconds_total', { stage: 'validate', on: 'downstream' }),
    ).toBeGreaterThan(2)
    expect(
      sum(samples, 'rates_ingest_stage_blocked_seconds_total', { stage: 'fetch', on: 'downstream' }),
    ).toBeGreaterThan(2)
    await eventually(async () => !(await alive()))
    await packs.release()
    await line.reply(batch.id)
    expect(await alive()).toBe(true)
  })

  it('for PostgreSQL to come back is alive', async () => {
    const batch = testBatch(10)
    const before = await blocked('copy', 'db')
    proxy.down()
    await send(batch)
    await sleep(10_000)
    const [isAlive, after] = [await alive(), await blocked('copy', 'db')]
    proxy.up()
    expect(isAlive).toBe(true)
    expect(after).toBeGreaterThan(before + 7)
    await line.reply(batch.id)
  })

  it('for more of a batch is alive', async () => {
    const batch = testBatch(20)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, {
      chunks: 2,
      total: 'last',
    })
    await line.send(records.slice(0, 1))
    await sleep(8_000)
    expect(await alive()).toBe(true)
    await line.send(records.slice(1))
    await line.reply(batch.id)
  })
})

describe('a pool as its user has it', () => {
  it('tells what is waited for, to this user alone, and leaves its connections as they were', async () => {
    const pool = createPool(line.databaseUrl, { name: 'watched', max: 1, log: line.kafka.log })
    const clock = new LoopClock({ stages: ['copy'] })
    const had: (number | undefined)[] = []
    const watched = watchedPool(pool, clock.waiting, (client) =>
      had.push((client as { processID?: number })?.processID),
    )
    clock.enter('copy')
    const seconds = () => clock.read().copy.blocked
    await watched.query('select pg_sleep(0.3)')
    const { db = 0 } = seconds()
    expect(db).toBeGreaterThan(0.29)
    expect(seconds().pool).toBe(0)
    const other = await pool.connect()
    const late = watched.query('select 1')
    await sleep(200)
    await other.query('select pg_sleep(0.2)')
    other.release()
    await late
    expect(seconds().pool).toBeGreaterThan(0.39)
    expect(seconds().db! - db).toBeLessThan(0.39)
    await expect(watched.query('select 1 / 0')).rejects.toThrow('division by zero')
    expect(had).toEqual([expect.any(Number), undefined, expect.any(Number), undefined, expect.any(Number), undefined])
    const client = await pool.connect()
    expect(Object.hasOwn(client, 'query')).toBe(false)
    client.release()
    await pool.end()
  })
})
