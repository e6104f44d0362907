import { describe, expect, it } from '@jest/globals'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants } from '@rates/testing/invariants'
import { backlog, factsOf, visible } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { observe } from '@rates/testing/observer'
import { holdPacks, startWorkerProcess } from '@rates/testing/workers'

// Every test has a line of its own, and most of its time is the wait for a dead worker's session to end (6 s): they run
// at the same time, hence in one block, the longest first. test/e2e kills at every failpoint there is.

async function onLine(partitions: number, work: (line: Line) => Promise<void>): Promise<void> {
  const line = await startLine({ partitions })
  try {
    await work(line)
  } finally {
    await line.close()
  }
}

const sendBulk = async (line: Line, batch: TestBatch, chunks: number): Promise<void> =>
  line.send(await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks, total: 'last' }))

/** Each chunk in a transaction of its own, so that they can be counted. */
const oneByOne = { CHUNKS_TOGETHER: '1' }

/** Everything was read, the batch is as it should be, and nothing is left. */
async function expectWhole(line: Line, batch: TestBatch): Promise<void> {
  await line.reply(batch.id, 40_000)
  await expectInvariants(line, [{ batch }])
}

async function chunksBy(line: Line): Promise<Record<string, number>> {
  const { rows } = await line.pool.query<{ worker: string; n: number }>(
    'select worker, count(*)::int as n from batch_chunks group by 1',
  )
  return Object.fromEntries(rows.map(({ worker, n }) => [worker, n]))
}

describe('a worker', () => {
  it.concurrent(
    'killed again and again by one record: that fails its batch and is set aside, and the partition goes on',
    () =>
      onLine(1, async (line) => {
        const [before, poison, after] = [testBatch(100), testBatch(100), testBatch(100)]
        for (const { id, lines } of [before, poison, after]) {
          await line.send([{ topic: line.topics.batches, headers: { 'batch-id': id }, value: csv(lines) }])
        }
        // The first death is counted for nobody: until then the record was one of many.
        for (const failpoint of ['took-record@2', 'took-record', 'took-record', 'took-record']) {
          const doomed = await startWorkerProcess(line, { FAILPOINTS: failpoint })
          expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
        }
        await startWorkerProcess(line)
        await line.reply(after.id, 40_000)
        const failed = { batch: poison, state: 'failed', error: 'internal_error' } as const
        await expectInvariants(line, [{ batch: before }, failed, { batch: after }])
        const [letter, ...others] = await line.deadLetters()
        expect(others).toEqual([])
        expect(Object.fromEntries(letter!.headers)).toMatchObject({
          'batch-id': poison.id,
          'dead-letter-reason': 'internal_error',
          'dead-letter-topic': line.topics.batches,
          'dead-letter-offset': '1',
        })
        expect(Buffer.from(letter!.value!)).toEqual(csv(poison.lines))
      }),
    120_000, // four sessions have to run out
  )

  it.concurrent('killed in the middle of a batch: the other one finishes it', () =>
    onLine(4, async (line) => {
      const [doomed, other] = await Promise.all([
        startWorkerProcess(line, { FAILPOINTS: 'after-chunk@2', ...oneByOne }),
        startWorkerProcess(line, oneByOne),
      ])
      await Promise.all([doomed.said('partitions assigned'), other.said('partitions assigned')])
      const batch = testBatch(12_000)
      const observer = await observe(line, [{ batch }], { everyMilliseconds: 20 })
      await sendBulk(line, batch, 12)
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      await line.reply(batch.id, 40_000)
      await observer.sampled()
      await expectInvariants(line, [{ batch }], { observation: await observer.stop() })
      expect(await chunksBy(line)).toEqual({ [doomed.name]: 2, [other.name]: 10 })
    }),
  )

  it.concurrent('killed in the middle of a chunk: that chunk is rolled back and done again', () =>
    onLine(1, async (line) => {
      const doomed = await startWorkerProcess(line)
      const packs = await holdPacks(line)
      const batch = testBatch(6_000)
      await sendBulk(line, batch, 6)
      await packs.waiting(1)
      doomed.signal('SIGKILL')
      await doomed.exited
      await packs.release()
      expect(await visible(line, batch)).toBe('nothing')
      const other = await startWorkerProcess(line)
      await expectWhole(line, batch)
      expect(await chunksBy(line)).toEqual({ [other.name]: 6 })
    }),
  )

  it.concurrent('killed between the commit of the last chunk and the publication', () =>
    onLine(2, async (line) => {
      const doomed = await startWorkerProcess(line, { FAILPOINTS: 'before-publish' })
      const batch = testBatch(3_000)
      await sendBulk(line, batch, 6)
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      expect(await chunksBy(line)).toEqual({ [doomed.name]: 6 })
      expect(await factsOf(line, batch)).toMatchObject({ state: 'open', visible: 'nothing', replies: [] })
      await startWorkerProcess(line)
      await expectWhole(line, batch)
    }),
  )

  it.concurrent('killed between the publication and the commit of the offset', () =>
    onLine(1, async (line) => {
      const doomed = await startWorkerProcess(line, { FAILPOINTS: 'after-publish' })
      const batch = testBatch(3_000)
      await sendBulk(line, batch, 3)
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      expect(await factsOf(line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
      expect(await backlog(line)).toBeGreaterThan(0n)
      await startWorkerProcess(line)
      await expectWhole(line, batch)
    }),
  )

  it.concurrent('killed behind the one transaction of a small batch', () =>
    onLine(1, async (line) => {
      const doomed = await startWorkerProcess(line, { FAILPOINTS: 'after-small' })
      const batch = testBatch(200)
      await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      expect(await visible(line, batch)).toBe('all')
      expect(await backlog(line)).toBe(1n)
      await startWorkerProcess(line)
      await expectWhole(line, batch)
    }),
  )

  it.concurrent(
    'told to stop, finishes the chunk in hand, commits its offset and takes no other; the rest goes elsewhere',
    () =>
      onLine(2, async (line) => {
        const patient = { ...oneByOne, DRAIN_SECONDS: '60' }
        const workers = [startWorkerProcess(line, patient), startWorkerProcess(line, patient)] as const
        const [leaving, other] = await Promise.all(workers)
        await Promise.all([leaving.said('partitions assigned'), other.said('partitions assigned')])
        const packs = await holdPacks(line)
        const batch = testBatch(8_000)
        await sendBulk(line, batch, 8)
        await packs.waiting(2)
        leaving.signal('SIGTERM')
        await leaving.said('stopping')
        const asked = performance.now()
        await packs.release()
        expect(await leaving.exited).toEqual({ code: 0, signal: null })
        expect(performance.now() - asked).toBeLessThan(30_000) // the drain's own limit is not what ended it
        const { rows } = await line.pool.query<{ partition: number; offset: bigint }>(
          'select partition, record_offset as offset from batch_chunks where worker = $1',
          [leaving.name],
        )
        expect(rows).toHaveLength(1)
        const progress = await line.admin.progress(line.groups.bulk, line.topics.bulk)
        const { committed } = progress.find(({ partition }) => partition === rows[0]!.partition)!
        expect(committed).toBeGreaterThan(rows[0]!.offset)
        await expectWhole(line, batch)
        expect(await chunksBy(line)).toEqual({ [leaving.name]: 1, [other.name]: 7 })
        const { managementPort } = await other.said('worker started')
        const metrics = await (await fetch(`http://127.0.0.1:${String(managementPort)}/metrics`)).text()
        expect(metrics).toContain('rates_ingest_chunks_total{relation="new"} 7')
        expect(metrics).not.toContain('relation="same"')
      }),
  )

  it.concurrent('told to stop, is given up at the deadline when its chunk does not end', () =>
    onLine(1, async (line) => {
      const stuck = await startWorkerProcess(line, { DRAIN_SECONDS: '1' })
      const packs = await holdPacks(line)
      const batch = testBatch(400)
      await sendBulk(line, batch, 2)
      await packs.waiting(1)
      stuck.signal('SIGTERM')
      expect(await stuck.exited).toEqual({ code: 1, signal: null })
      await packs.release()
      await startWorkerProcess(line)
      await expectWhole(line, batch)
    }),
  )

  it.concurrent('frozen past its session and comes back as a zombie spoils nothing', () =>
    onLine(1, async (line) => {
      const zombie = await startWorkerProcess(line)
      const packs = await holdPacks(line)
      const batch = testBatch(4_000)
      await sendBulk(line, batch, 4)
      await packs.waiting(1)
      zombie.signal('SIGSTOP')
      await packs.release()
      const other = await startWorkerProcess(line)
      // The other one has the partition and waits for the chunk that the zombie holds half done.
      await eventually(
        async () => {
          const { rows } = await line.pool.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity where application_name = $1 and wait_event = 'transactionid'
             and datname = current_database()`,
            [other.name],
          )
          return rows[0]!.n === 1
        },
        { within: 60_000, what: 'the other worker meeting the zombie' },
      )
      zombie.signal('SIGCONT')
      await expectWhole(line, batch)
      zombie.signal('SIGTERM')
      expect(await zombie.exited).toEqual({ code: 0, signal: null })
    }),
  )
})
