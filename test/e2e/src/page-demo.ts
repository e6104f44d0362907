import { type BatchHeaders } from '@rates/core/wire'
import { cancelBatch } from '@rates/service/produce-batch'
import { chunkRecords, csv, randomLines, TEST_PORTS } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'

/** A morning of a platform that is used, for pictures and for those who work on the page. */

interface Sent {
  id: string
  source: string
  rows: number
  /** Ago, when it was opened. */
  minutes: number
  /** Lines instead of good ones, at every so many. */
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

const ENDED: readonly Sent[] = [
  { id: 'nordic-lines-2026-11-20', source: 'nordic-lines', rows: 48_300, minutes: 190 },
  { id: 'acme-freight-2026-11-20', source: 'acme-freight', rows: 212_000, minutes: 161 },
  { id: 'spot-0611', source: 'spot-feed', rows: 260, minutes: 124 },
  { id: 'harbour-data-w47', source: 'harbour-data', rows: 9_400, minutes: 97, bad: BAD_LINES },
  { id: 'pacific-rates-a', source: 'pacific-rates', rows: 31_750, minutes: 71, headers: { dryRun: true } },
  { id: 'pacific-rates-a', source: 'pacific-rates', rows: 31_750, minutes: 64 },
  { id: 'spot-0758', source: 'spot-feed', rows: 310, minutes: 42, bad: BAD_LINES.slice(0, 2) },
  { id: 'late-lines-2026-11-21', source: 'late-lines', rows: 1_200, minutes: 33, headers: { deadline: '2026-11-21T06:00:00Z' } },
  { id: 'harbour-data-w47-2', source: 'harbour-data', rows: 9_400, minutes: 21, headers: { replaces: 'spot-0611' } },
  { id: 'spot-0841', source: 'spot-feed', rows: 287, minutes: 9 },
  { id: 'spot-0846', source: 'spot-feed', rows: 302, minutes: 4 },
]

const LOADING = [
  { id: 'acme-freight-2026-11-21', source: 'acme-freight', chunks: 90, sent: 48, rows: 9_000, deadlineMinutes: 12 },
  { id: 'nordic-lines-2026-11-21', source: 'nordic-lines', chunks: 60, sent: 9, rows: 3_000, deadlineMinutes: 0.4 },
  { id: 'pacific-rates-b', source: 'pacific-rates', chunks: 40, sent: 31, rows: 2_500, deadlineMinutes: undefined },
] as const

/** Batches that ended in the last hours, one of each kind; sources differ, so nothing replaces what it must not. */
export async function endedBatches(line: Line): Promise<void> {
  for (const [i, sent] of ENDED.entries()) await endOne(line, sent, i)
  await fetchless(line)
}

async function endOne(line: Line, { id, source, rows, minutes, bad = [], headers = {} }: Sent, seed: number) {
  const lines = randomLines(rows, { seed: seed + 1, month: '2026-11', sorted: true })
  const every = Math.floor(rows / (bad.length * 6 + 1))
  if (bad.length > 0) for (let n = 0; n < bad.length * 6; n++) lines[(n + 1) * every] = bad[(n * n + n) % bad.length]!
  const { replaces, ...rest } = headers
  const batch = { batchId: id, source, correlationId: `${source}/${id}`, ...rest }
  void replaces
  const chunks = Math.ceil(rows / 20_000)
  await line.send(await chunkRecords(line.topics.batches, batch, lines, { chunks }))
  await moveBack(line, id, rest.dryRun ?? false, minutes)
}

/** One that its sender cancelled. */
async function fetchless(line: Line): Promise<void> {
  const batch = { batchId: 'acme-freight-test', source: 'acme-freight' }
  const lines = randomLines(400, { seed: 99, month: '2026-11', sorted: true })
  const [first] = await chunkRecords(line.topics.batches, batch, lines, { chunks: 2 })
  await line.send([first!])
  await cancelBatch(line.producer, line.topics, batch)
  await moveBack(line, batch.batchId, false, 55)
}

/** Waits for its end and makes it one of some time ago. */
async function moveBack({ pool }: Line, id: string, dryRun: boolean, minutes: number): Promise<void> {
  const { no } = await eventually(
    async () => {
      const found = await pool.query<{ no: string }>(
        `select no from batches where id = $1 and dry_run = $2 and state <> 'open'`,
        [id, dryRun],
      )
      return found.rows[0]
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

/** Batches that go on loading until the line is closed, as their senders send them. */
export async function loadingBatches(line: Line): Promise<void> {
  let stopped = false
  const going = await Promise.all(LOADING.map((each) => startLoading(line, each, () => stopped)))
  line.defer(async () => {
    stopped = true
    await Promise.all(going)
  })
}

async function startLoading(line: Line, batch: (typeof LOADING)[number], stopped: () => boolean): Promise<Promise<void>> {
  const { id, source, chunks, sent, rows, deadlineMinutes } = batch
  const lines = randomLines(rows * chunks, { seed: id.length, month: '2026-12', sorted: true })
  const deadline =
    deadlineMinutes === undefined ? undefined : new Date(Date.now() + deadlineMinutes * 60_000).toISOString()
  const headers = { batchId: id, source, deadline, onDeadline: 'flag' as const }
  const records = await chunkRecords(line.topics.bulk, headers, lines, { chunks })
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 700))
  await line.send(records.slice(0, sent))
  const rest = async (): Promise<void> => {
    for (const record of records.slice(sent, -1)) {
      if (stopped()) return
      await pause()
      await line.send([record])
    }
  }
  return Promise.resolve().then(() => [rest()]).then(([going]) => ({ going })) as never
}

export const somePorts = TEST_PORTS
export const smallFile = (rows: number): Buffer => csv(randomLines(rows, { seed: 5, month: '2026-10', sorted: true }))
