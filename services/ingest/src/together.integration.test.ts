import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type OutgoingRecord } from '@rates/service/kafka'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants, type Sent } from '@rates/testing/invariants'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { holdPacks } from '@rates/testing/workers'
import { startTestWorker } from './test-worker.ts'

// Chunks of one batch that were fetched together are stored in one transaction, whatever else lies among them.

let line: Line
const sent: Sent[] = []

beforeAll(async () => {
  line = await startLine({ partitions: 4 })
  await startTestWorker(line)
  // Until the first commit of a partition its records are suspects, and those are always alone.
  const warm = testBatch(80)
  sent.push({ batch: warm })
  await line.send(await chunked(warm, 8))
  await line.reply(warm.id)
  await eventually(async () => {
    const progress = await line.admin.progress(line.groups.bulk, line.topics.bulk)
    return progress.every(({ high, committed }) => committed === high)
  })
})
afterAll(() => line.close())

const chunked = (batch: TestBatch, chunks: number): Promise<OutgoingRecord[]> =>
  chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks, total: 'last' })

/** Sends records while the worker is busy with something else, so that it then finds them side by side. */
async function sendTogether(records: OutgoingRecord[]): Promise<void> {
  const packs = await holdPacks(line)
  const other = testBatch(10)
  sent.push({ batch: other })
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': other.id }, value: csv(other.lines) }])
  await packs.waiting(1)
  await line.send(records)
  await packs.release()
}

async function transactions(batch: TestBatch): Promise<{ chunks: number; transactions: number }> {
  const { rows } = await line.pool.query<{ chunks: number; transactions: number }>(
    `select count(*)::int as chunks, count(distinct c.xmin::text)::int as transactions
     from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1`,
    [batch.id],
  )
  return rows[0]!
}

describe('chunks of one batch that were fetched together', () => {
  it('are stored a few at a time, and are the batch', async () => {
    const batch = testBatch(2_400)
    sent.push({ batch })
    await sendTogether(await chunked(batch, 24))
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    const { chunks, transactions: count } = await transactions(batch)
    expect(chunks).toBe(24)
    expect(count).toBeLessThanOrEqual(14) // 6, and some that were fetched before the others
  })

  it('may be of several batches', async () => {
    const batches = [testBatch(400), testBatch(400), testBatch(400)]
    const all = await Promise.all(batches.map((batch) => chunked(batch, 4)))
    for (const batch of batches) sent.push({ batch })
    await sendTogether([0, 1, 2, 3].flatMap((chunk) => all.map((records) => records[chunk]!)))
    for (const batch of batches) await line.reply(batch.id)
    for (const batch of batches) expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('may come twice', async () => {
    const batch = testBatch(800)
    const records = await chunked(batch, 8)
    sent.push({ batch })
    await sendTogether(records.flatMap((record) => [record, record]))
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('may have a bad row in one of them: all bad rows are told, nothing is visible', async () => {
    const batch = testBatch(800)
    batch.lines[350] = 'CNGGZ,NLRTX,2026-01-01,5'
    batch.lines[777] = 'CNGGZ,NLRTM,2026-01-01,-5'
    sent.push({ batch, state: 'failed', error: 'rejected_rows' })
    await sendTogether(await chunked(batch, 8))
    expect(await line.reply(batch.id)).toMatchObject({
      rows: { accepted: 798, rejected: 2 },
      errors: [
        { row: 351, rule: 'unknown_port' },
        { row: 778, rule: 'price_out_of_range' },
      ],
    })
    expect(await factsOf(line, batch)).toMatchObject({ visible: 'nothing' })
  })

  it('are no part of a batch whose headers they contradict', async () => {
    const batch = testBatch(800)
    sent.push({ batch, requests: Array<string>(4).fill('id_conflict') })
    const records = await chunked(batch, 8)
    const others = records.slice(4).map((each) => ({ ...each, headers: { ...each.headers, source: 'another' } }))
    await line.send(records.slice(0, 4))
    await eventually(async () => (await transactions(batch)).chunks === 4)
    await sendTogether(others)
    await eventually(async () => (await line.deadLetters(batch.id)).length === 4)
    await sendTogether(records.slice(4))
    await eventually(async () => (await line.replies(batch.id)).some(({ reply }) => reply.state === 'succeeded'))
    expect(await factsOf(line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
  })

  it('leave everything as it has to be', async () => {
    await expectInvariants(line, sent)
  })
})
