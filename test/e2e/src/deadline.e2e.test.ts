import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { chunkRecords, csv, numbers, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const SECONDS = Number(process.env['LOAD_SECONDS'] ?? 60)

let line: Line
let url: string
beforeAll(async () => {
  line = await startLine({ partitions: 4 })
  const [api] = await Promise.all([startApiProcess(line), startWorkerProcess(line), startWorkerProcess(line)])
  url = api.url
})
afterAll(() => line.close())

const read = async (id: string): Promise<Batch | undefined> => {
  const answer = await fetch(`${url}/batches/${id}`)
  return answer.ok ? ((await answer.json()) as Batch) : undefined
}

interface Seen {
  at: number
  batch: Batch
}

/** What the ledger shows of a batch, from its first chunk to its end. */
async function watch(id: string): Promise<{ seen: Seen[]; batch: Batch }> {
  const seen: Seen[] = []
  for (;;) {
    const batch = await read(id)
    if (batch?.finishedAt) return { seen, batch }
    if (batch?.state === 'in_progress') seen.push({ at: Date.now(), batch })
    await sleep(250)
  }
}

/** At half way, and at each moment near it, the end is expected within 15 % of what is left, and so is the slack. */
async function expectGoodEstimates(id: string, deadline: Date): Promise<void> {
  const { seen, batch } = await watch(id)
  expect(batch).toMatchObject({ state: 'succeeded', error: null })
  const start = Date.parse(batch.startedAt!)
  const end = Date.parse(batch.finishedAt!)
  expect((end - start) / 1000).toBeGreaterThan(SECONDS * 0.7)
  const near = seen.filter(({ at }) => Math.abs((at - start) / (end - start) - 0.5) < 0.05)
  expect(near.length).toBeGreaterThan(SECONDS / 10 / 2)
  for (const { at, batch: shown } of near) {
    const left = end - at
    const part = (at - start) / (end - start)
    const eta = (Date.parse(shown.etaAt!) - end) / left
    const slack = (shown.slackSeconds! * 1000 - (deadline.getTime() - end)) / left
    expect({ part, eta, slack, right: Math.abs(eta) < 0.15 && Math.abs(slack) < 0.15 }).toMatchObject({ right: true })
    expect(Math.abs(shown.progress! - part)).toBeLessThan(0.2)
  }
}

describe(`a load slowed to ${SECONDS} s`, () => {
  const cases: [string, (batch: TestBatch, deadline: string) => Promise<void>][] = [
    [
      'by the pauses between its records, which tell the total',
      async (batch, deadline) => {
        const headers = { batchId: batch.id, deadline }
        const records = await chunkRecords(line.topics.bulk, headers, batch.lines, { chunks: 20 })
        for (const record of records) {
          await line.send([record])
          await sleep((SECONDS / 20) * 1000)
        }
      },
    ],
    [
      'by uneven pauses, with two records at a time',
      async (batch, deadline) => {
        const headers = { batchId: batch.id, deadline }
        const records = await chunkRecords(line.topics.bulk, headers, batch.lines, { chunks: 40 })
        const next = numbers(11)
        for (let at = 0; at < records.length; at += 2) {
          await line.send(records.slice(at, at + 2))
          await sleep((SECONDS / 20) * 1000 * (0.5 + next() / 2 ** 32))
        }
      },
    ],
    [
      'by an upload that comes slowly and tells its size',
      async (batch, deadline) => {
        const rows = csv(batch.lines)
        const body = Buffer.concat(Array.from({ length: 80 }, () => rows)) // 32 chunks of 32 767 rows
        const sent = request(`${url}/batches?id=${batch.id}&deadline=${deadline}`, {
          method: 'POST',
          headers: { 'content-type': 'text/csv', 'content-length': body.length },
        })
        const status = new Promise((resolve, reject) => {
          sent.once('error', reject).once('response', (response) => resolve(response.resume().statusCode))
        })
        const pieces = SECONDS * 5
        for (let i = 0; i < pieces; i++) {
          sent.write(
            body.subarray(Math.floor((body.length * i) / pieces), Math.floor((body.length * (i + 1)) / pieces)),
          )
          await sleep(200)
        }
        sent.end()
        expect(await status).toBe(202)
      },
    ],
  ]
  it.concurrent.each(cases)(
    '%s: the end is foreseen at half way',
    async (_, send) => {
      const batch = testBatch(13_000)
      const deadline = new Date(Date.now() + SECONDS * 2_000)
      await Promise.all([
        send(batch, deadline.toISOString()),
        eventually(() => read(batch.id), { within: 30_000 }).then(() => expectGoodEstimates(batch.id, deadline)),
      ])
    },
    (SECONDS + 60) * 1000,
  )
})
