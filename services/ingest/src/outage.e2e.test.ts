import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { endEarly } from '@rates/service/ledger/end-early'
import { withTransaction } from '@rates/service/postgres'
import { chunkRecords, csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { expectInvariants } from '@rates/testing/invariants'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { waitingFor } from '@rates/testing/lock-waits'
import { holdPacks } from '@rates/testing/workers'
import { startTestWorker } from './test-worker.ts'

// PostgreSQL answers late, not at all, or goes away.

describe('between a worker and PostgreSQL', () => {
  let line: Line
  let proxy: FaultProxy
  beforeAll(async () => {
    line = await startLine({ partitions: 1 })
    proxy = await startFaultProxy(line.databaseUrl)
    line.defer(() => proxy.close())
    await startTestWorker(line, { DATABASE_URL: proxy.url })
  })
  afterAll(() => line.close())

  // The commits of a batch of three chunks: one a chunk, then the publication.
  const commits = [0, 1, 2, 3].flatMap((skip) => [['answer', skip] as const, ['request', skip] as const])
  it.each(commits)('the %s of COMMIT is lost after %i others of a batch: applied exactly once', async (lost, skip) => {
    const batch = testBatch(90)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, {
      chunks: 3,
      total: 'last',
    })
    const cut = proxy.cutCommit(lost, skip)
    await line.send(records)
    await cut
    await line.reply(batch.id)
    await expectInvariants(line, [{ batch }])
  })

  it.each(['answer', 'request'] as const)(
    'the %s of a small batch’s COMMIT is lost: applied exactly once',
    async (lost) => {
      const batch = testBatch(90)
      const cut = proxy.cutCommit(lost)
      await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
      await cut
      await line.reply(batch.id)
      await expectInvariants(line, [{ batch }])
    },
  )

  it('a batch is not ended between the look at its state and the storing of a chunk', async () => {
    const batch = testBatch(90)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 3 })
    const packs = await holdPacks(line, 'batch_chunks')
    await line.send(records.slice(0, 1))
    await packs.waiting(1)
    const { rows } = await line.pool.query<{ no: bigint }>('select no from batches where id = $1', [batch.id])
    const replies = { replies: line.topics.replies, allowed: [], webhooks: null }
    const ending = endEarly(line.pool, rows[0]!.no, 'cancelled', { code: 'cancelled', message: 'by a test' }, replies)
    const waiting = `select from pg_stat_activity where application_name = 'test' and wait_event = 'transactionid'
      and datname = current_database()`
    await eventually(async () => (await line.pool.query(waiting)).rowCount === 1, { what: 'the end waiting' })
    await packs.release()
    expect(await ending).toBe(true)
    await line.send(records.slice(1))
    await expectInvariants(line, [{ batch, state: 'cancelled', error: 'cancelled' }])
  })

  it('no connection at all for a while: the worker waits, and lives', async () => {
    const batch = testBatch(90)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, {
      chunks: 3,
      total: 'last',
    })
    await line.send(records.slice(0, 1))
    await eventually(
      async () =>
        (
          await line.pool.query('select from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1', [
            batch.id,
          ])
        ).rowCount === 1,
    )
    proxy.down()
    await line.send(records.slice(1))
    await line.pool.query('select pg_sleep(1)')
    proxy.up()
    await line.reply(batch.id)
    await expectInvariants(line, [{ batch }])
  })
})

describe('a time limit during an outage', () => {
  let line: Line
  beforeAll(async () => {
    line = await startLine({ partitions: 1 })
    await startTestWorker(line, { CHUNK_TIMEOUT_SECONDS: '1' })
  })
  afterAll(() => line.close())

  const small = (batch: { id: string; lines: string[] }) => ({
    topic: line.topics.batches,
    headers: { 'batch-id': batch.id },
    value: csv(batch.lines),
  })
  const stateOf = async (id: string): Promise<string> =>
    (await line.pool.query<{ state: string }>('select state from batches where id = $1', [id])).rows[0]!.state

  const storedOf = async (id: string): Promise<number | null> =>
    (await line.pool.query('select from batch_chunks join batches on no = batch_no where id = $1', [id])).rowCount

  it('fails no batch whose chunks lie in the topic unread', async () => {
    const [late, blocking] = [testBatch(40), testBatch(10)]
    const [first, second] = await chunkRecords(line.topics.batches, { batchId: late.id }, late.lines, { chunks: 2 })
    await withTransaction(line.pool, async (client) => {
      // The worker waits to learn whether there is such a batch already, with the second chunk behind it in the topic.
      await client.query(`insert into batches (id, state) values ($1, 'open')`, [blocking.id])
      await line.send([first!, small(blocking), second!])
      await waitingFor(line.pool, 'insert into batches')
      await client.query('select pg_sleep(3)') // the limit, and two rounds of the sweeper
      expect(await stateOf(late.id)).toBe('open')
      await client.query('delete from batches where id = $1', [blocking.id])
    })
    await line.reply(late.id)
    expect(await factsOf(line, late)).toEqual(succeeded(late))
  })

  it('fails one whose partitions were all read past the limit, though more lies in them', async () => {
    const [lost, before, past, after] = [testBatch(40), testBatch(10), testBatch(10), testBatch(10)]
    past.lines[0] = 'bad, so that there are no packs to store'
    const [pastIt] = await chunkRecords(line.topics.batches, { batchId: past.id }, past.lines, { chunks: 2 })
    const [first] = await chunkRecords(line.topics.batches, { batchId: lost.id }, lost.lines, { chunks: 2 })
    await line.send([first!])
    // Not only opened: or it is this chunk that the lock holds up.
    await eventually(async () => (await storedOf(lost.id)) === 1, { every: 10 })
    const early = await holdPacks(line)
    await line.send([small(before)])
    await early.waiting(1)
    await line.pool.query('select pg_sleep(1.2)')
    await line.send([pastIt!, small(after)])
    // PostgreSQL gives locks in the order in which they are asked for: this one comes after the batch that waits.
    const late = holdPacks(line)
    await early.waiting(2)
    await early.release()
    const packs = await late
    await packs.waiting(1)
    expect(await line.reply(lost.id)).toMatchObject({ error: { code: 'incomplete', missingChunks: [1] } })
    expect(await line.replies(after.id)).toEqual([])
    await packs.release()
    await line.reply(after.id)
    const failed = [
      { batch: lost, state: 'failed' as const, error: 'incomplete' },
      { batch: past, state: 'failed' as const },
    ]
    await expectInvariants(line, [{ batch: before }, { batch: after }, ...failed])
  })
})
