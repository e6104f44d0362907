import { setTimeout as sleep } from 'node:timers/promises'
import { type BatchHeaders } from '@rates/core/wire'
import { cancelBatch } from '@rates/service/produce-batch'
import { chunkRecords, randomLines } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'

/** A morning of a platform that is used: for the pictures of the page, and for those who work on it. */

interface Ended {
  id: string
  source: string
  rows: number
  /** Since it ended. */
  minutes: number
  /** Lines that are among the good ones, six times each. */
  bad?: readonly string[]
  headers?: Partial<BatchHeaders>
}

const BAD_LINES = [
  'CNSGH,NLRTX,2026-11-02,1840',
  'CNSGH,NLRTM,2026-11-31,1795',
  'HKHKG,DEHAM,2026-11-17,-3',
  'KRPUX,USLAX,2026-11-04,2210',
  'SGSIN,BEANR,17.11.2026,1999',
  'VNSGN,GBFXT,2026-11-08,12.50',
  'INNSA,NLRTX,2026-11-09,"1,420"',
]

const ENDED: readonly Ended[] = [
  { id: 'nordic-lines-2026-11-20', source: 'nordic-lines', rows: 48_300, minutes: 190 },
  { id: 'acme-freight-2026-11-20', source: 'acme-freight', rows: 212_000, minutes: 161 },
  { id: 'spot-0611', source: 'spot-feed', rows: 260, minutes: 124 },
  { id: 'harbour-data-w47', source: 'harbour-data', rows: 9_400, minutes: 97, bad: BAD_LINES },
  { id: 'pacific-rates-a', source: 'pacific-rates', rows: 31_750, minutes: 71, headers: { dryRun: true } },
  { id: 'pacific-rates-a', source: 'pacific-rates', rows: 31_750, minutes: 64 },
  { id: 'spot-0758', source: 'spot-feed', rows: 310, minutes: 42, bad: BAD_LINES.slice(0, 2) },
  { id: 'nightly-7', source: 'late-lines', rows: 1_200, minutes: 33, headers: { deadline: '2026-11-21T06:00:00Z' } },
  { id: 'spot-0611-corrected', source: 'spot-feed', rows: 255, minutes: 21, headers: { replaces: 'spot-0611' } },
  { id: 'spot-0841', source: 'spot-feed', rows: 287, minutes: 9 },
  { id: 'spot-0846', source: 'spot-feed', rows: 302, minutes: 4 },
]

/** Batches that ended in the last hours, in each way there is. */
export async function endedBatches(line: Line): Promise<void> {
  for (const [i, batch] of ENDED.entries()) {
    const { id, source, rows, headers } = batch
    const sent = { batchId: id, source, correlationId: `${source}/2026-11-21/${i}`, ...headers }
    const chunks = Math.ceil(rows / 20_000)
    await line.send(await chunkRecords(line.topics.batches, sent, linesOf(batch, i), { chunks }))
    await moveBack(line, id, headers?.dryRun ?? false, batch.minutes)
  }
  const cancelled = { batchId: 'acme-freight-test', source: 'acme-freight' }
  const lines = randomLines(400, { seed: 99, month: '2026-11', sorted: true })
  await line.send((await chunkRecords(line.topics.batches, cancelled, lines, { chunks: 2 })).slice(0, 1))
  await cancelBatch(line.producer, line.topics, cancelled)
  await moveBack(line, cancelled.batchId, false, 55)
}

function linesOf({ rows, bad = [] }: Ended, seed: number): string[] {
  const lines = randomLines(rows, { seed: seed + 1, month: '2026-11', sorted: true })
  const all = Array.from({ length: 6 }, (_, i) => bad.slice(0, bad.length - (i % 3))).flat()
  all.forEach((line, i) => (lines[Math.floor(((i + 0.7) * rows) / all.length)] = line))
  return lines
}

/** Waits for its end and makes it one of some time ago. */
async function moveBack({ pool }: Line, id: string, dryRun: boolean, minutes: number): Promise<void> {
  const no = await eventually(
    async () => {
      const ended = `select no from batches where id = $1 and dry_run = $2 and state <> 'open'`
      return (await pool.query<{ no: bigint }>(ended, [id, dryRun])).rows[0]?.no
    },
    { within: 60_000, what: `the end of ${id}` },
  )
  const by = [no, `${minutes} minutes`]
  await pool.query(
    `update batches set created_at = created_at - $2::interval, finished_at = finished_at - $2::interval where no = $1`,
    by,
  )
  await pool.query(
    `update batch_chunks set record_time = record_time - $2::interval, taken_at = taken_at - $2::interval,
       stored_at = stored_at - $2::interval where batch_no = $1`,
    by,
  )
}

const LOADING = [
  { id: 'acme-freight-2026-11-21', source: 'acme-freight', chunks: 200, sent: 95, rows: 7_000, minutes: 12 },
  { id: 'nordic-lines-2026-11-21', source: 'nordic-lines', chunks: 160, sent: 9, rows: 3_000, minutes: 0.5 },
  { id: 'pacific-rates-b', source: 'pacific-rates', chunks: 120, sent: 88, rows: 2_500, minutes: undefined },
] as const

/** Batches that go on loading until the line is closed, as their senders send them. */
export async function loadingBatches(line: Line): Promise<void> {
  const stopped = new AbortController()
  const senders: Promise<void>[] = []
  line.defer(async () => {
    stopped.abort()
    await Promise.all(senders)
  })
  for (const { id, source, chunks, sent, rows, minutes } of LOADING) {
    const deadline = minutes === undefined ? undefined : new Date(Date.now() + minutes * 60_000).toISOString()
    const headers = { batchId: id, source, deadline, onDeadline: 'flag' as const }
    const lines = randomLines(rows * chunks, { seed: id.length, month: '2026-12', sorted: true })
    const records = await chunkRecords(line.topics.bulk, headers, lines, { chunks })
    await line.send(records.slice(0, sent))
    const rest = records.slice(sent)
    senders.push(
      (async () => {
        for (const record of rest) {
          if (stopped.signal.aborted) return
          await line.send([record])
          await sleep(800)
        }
      })(),
    )
  }
}
