import { isDeepStrictEqual } from 'node:util'
import { type Failpoint } from '@rates/service/failpoints'
import { cancelBatch, requestRevert } from '@rates/service/produce-batch'
import { chunkRecords, csv, digestOf, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { type Sent } from '@rates/testing/invariants'
import { type Line } from '@rates/testing/line'
import { type Watch } from '@rates/testing/observer'
import { startReceiver } from '@rates/testing/receiver'
import { startWorkerProcess } from '@rates/testing/workers'
import { objectScenarios } from './kill-objects.ts'
import { queryScenarios } from './kill-queries.ts'

/** What brings a process to a failpoint, and what has to have become of it all in the end. */
export interface Scenario {
  /** Who dies: a worker unless told. */
  process?: 'worker' | 'api'
  /** The pass at which it dies: the first unless told. */
  pass?: number
  /** Settings of the one that dies and of those that go on. */
  settings?: Record<string, string>
  /** What has happened before the one that dies is started. */
  prepare?: (line: Line) => Promise<void>
  /** What it dies of. `url`: of the API, if it is the one. */
  act: (line: Line, url: string) => Promise<void>
  sent: Sent[]
  watches: Watch[]
  /** What has to happen besides the invariants. */
  healed?: (line: Line) => Promise<void>
}

const whole = (line: Line, batch: TestBatch, headers: Record<string, string> = {}) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value: csv(batch.lines),
})

async function load(line: Line, batch: TestBatch, headers: Record<string, string> = {}): Promise<void> {
  await line.send([whole(line, batch, headers)])
  await line.reply(batch.id, 60_000)
}

const sendChunks = async (line: Line, batch: TestBatch, chunks: number): Promise<void> =>
  line.send(await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks, total: 'last' }))

const until = (line: Line, what: string, sql: string): Promise<true> =>
  eventually(async () => ((await line.pool.query(sql)).rowCount ?? 0) > 0, { within: 60_000, what }) as Promise<true>

/** What a worker does that dies of nothing. */
async function withWorker(line: Line, settings: Record<string, string>, work: () => Promise<unknown>): Promise<void> {
  const worker = await startWorkerProcess(line, settings)
  await work()
  worker.signal('SIGTERM')
  await worker.exited
}

function chunked(pass = 1): Scenario {
  const batch = testBatch(3_000)
  const settings = { CHUNKS_TOGETHER: '1' }
  return { pass, settings, act: (line) => sendChunks(line, batch, 4), sent: [{ batch }], watches: [{ batch }] }
}

/** Several chunks in one transaction, as far as they are fetched together. */
export function together(): Scenario {
  const batch = testBatch(8_000)
  return { act: (line) => sendChunks(line, batch, 12), sent: [{ batch }], watches: [{ batch }] }
}

function small(): Scenario {
  const batch = testBatch(300)
  return { act: (line) => line.send([whole(line, batch)]), sent: [{ batch }], watches: [{ batch }] }
}

function replacing(): Scenario {
  const [old, fresh] = [testBatch(300), testBatch(400)]
  return {
    async act(line) {
      await load(line, old)
      await line.send([whole(line, fresh, { replaces: old.id })])
    },
    sent: [{ batch: old, state: 'replaced' }, { batch: fresh }],
    watches: [{ batch: old }, { batch: fresh, replaces: old }],
  }
}

function cancelling(): Scenario {
  const batch = testBatch(300)
  return {
    async act(line) {
      const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 3 })
      await line.send(records.slice(0, 2))
      await until(line, 'a chunk being stored', 'select from batch_chunks')
      await cancelBatch(line.producer, line.topics, { batchId: batch.id })
      await line.reply(batch.id, 90_000) // on another partition, the last chunk could come first
      await line.send(records.slice(2))
    },
    sent: [{ batch, state: 'cancelled', error: 'cancelled' }],
    watches: [{ batch }],
  }
}

/** A replacement is reverted: what it had replaced comes back. */
function reverting(): Scenario {
  const [old, fresh] = [testBatch(300), testBatch(400)]
  return {
    async act(line) {
      await load(line, old)
      await load(line, fresh, { replaces: old.id })
      await requestRevert(line.producer, line.topics, { batchId: fresh.id })
    },
    sent: [{ batch: old }, { batch: fresh, state: 'reverted', requests: ['reverted'] }],
    watches: [{ batch: old }, { batch: fresh, replaces: old }],
  }
}

function refusing(): Scenario {
  const [batch, other] = [testBatch(100), testBatch(120)]
  return {
    async act(line) {
      await load(line, batch)
      await line.send([whole(line, { ...other, id: batch.id })])
    },
    sent: [{ batch, requests: ['id_conflict'] }],
    watches: [{ batch }],
    healed: async (line) =>
      void (await eventually(async () => (await line.deadLetters(batch.id)).length > 0, { within: 30_000 })),
  }
}

/** Whoever leads next sends it again: a receiver tells repetitions by their id. */
function tellingByWebhook(): Scenario {
  const batch = testBatch(300)
  batch.lines[299] = 'bad'
  const settings: Record<string, string> = {}
  let seen: () => { id: unknown; body: string }[] = () => []
  return {
    settings, // filled in before the process starts
    async prepare(line) {
      const receiver = await startReceiver()
      line.defer(() => receiver.close())
      settings['WEBHOOK_URL'] = receiver.url
      seen = () => receiver.received.map(({ headers, body }) => ({ id: headers['webhook-id'], body }))
    },
    act: (line) => line.send([whole(line, batch)]),
    sent: [{ batch, state: 'failed', error: 'rejected_rows' }],
    watches: [],
    async healed(line) {
      await until(line, 'the webhook being noted as taken', 'select from webhooks where ended_at is not null')
      const [first, ...again] = seen()
      if (first?.id !== `${batch.id}%2Ffailed`) throw new Error(`the webhook is ${first?.id}`)
      if (!again.every((each) => isDeepStrictEqual(each, first)))
        throw new Error('the webhook came again as another one')
    },
  }
}

function ofOnePair(batch: TestBatch): TestBatch {
  const lines = batch.lines.map((each) => `CNGGZ,NLRTM${each.slice(11)}`)
  return { ...batch, lines, digest: digestOf(lines) }
}

/** Nine batches of one pair and month: enough to be merged. */
function crowd(): TestBatch[] {
  const { month } = testBatch(0)
  return Array.from({ length: 9 }, (_, i) => ofOnePair(testBatch(20 + i, { month })))
}

const areMerged = (line: Line): Promise<true> =>
  until(line, 'packs being merged', 'select from price_packs where batches is not null')
const mergeAtOnce = { COMPACT_AFTER_SECONDS: '0' }

function merging(): Scenario {
  const batches = crowd()
  return {
    settings: mergeAtOnce,
    act: (line) => line.send(batches.map((batch) => whole(line, batch))),
    sent: batches.map((batch) => ({ batch })),
    watches: batches.map((batch) => ({ batch })),
    healed: async (line) => void (await areMerged(line)),
  }
}

function takingOut(): Scenario {
  const batches = crowd()
  const [first] = batches
  return {
    settings: { COMPACT_AFTER_SECONDS: '3600' }, // or it would be merged again before it can be looked at
    prepare: (line) =>
      withWorker(line, mergeAtOnce, async () => {
        for (const batch of batches) await load(line, batch)
        await areMerged(line)
      }),
    act: (line) => requestRevert(line.producer, line.topics, { batchId: first!.id }),
    sent: batches.map((batch) => ({
      batch,
      ...(batch === first && { state: 'reverted' as const, requests: ['reverted'] }),
    })),
    watches: batches.map((batch) => ({ batch, mayVanish: batch === first })),
  }
}

function purging(): Scenario {
  const batch = testBatch(400)
  batch.lines[399] = 'bad'
  return {
    act: (line) => sendChunks(line, batch, 4),
    sent: [{ batch, state: 'failed', error: 'rejected_rows' }],
    watches: [],
    healed: async (line) => void (await until(line, 'a purge', 'select from batches where purged_at is not null')),
  }
}

/** Retention removes a pair's month at once, and is no replacement: a batch of many goes in parts. */
function trimming(): Scenario {
  const batch = ofOnePair(testBatch(300))
  return {
    settings: { PRICE_RETENTION_DAYS: '365' }, // test batches are of the last century
    prepare: (line) => withWorker(line, { PRICE_RETENTION_DAYS: '0' }, () => load(line, batch)),
    act: () => Promise.resolve(),
    sent: [{ batch, trimmed: true }],
    watches: [{ batch, mayVanish: true }],
    healed: async (line) =>
      void (await until(
        line,
        'the end of retention',
        'select from batches where trimmed_at is not null and not exists (select from price_packs)',
      )),
  }
}

function forgetting(): Scenario {
  const [gone, kept] = [testBatch(30), testBatch(40)]
  gone.lines[3] = 'bad'
  return {
    settings: { LEDGER_RETENTION_DAYS: '30' },
    prepare: async (line) => {
      await withWorker(line, {}, async () => {
        await load(line, gone)
        await load(line, kept)
        await until(line, 'a purge', 'select from batches where purged_at is not null')
      })
      await line.pool.query(
        `update batches set created_at = created_at - interval '40 days', finished_at = finished_at - interval '40 days';
         update outbox set created_at = created_at - interval '40 days'`,
      )
    },
    act: () => Promise.resolve(),
    sent: [{ batch: gone, state: 'forgotten' }, { batch: kept }],
    watches: [{ batch: kept }],
    healed: async (line) =>
      void (await eventually(
        async () => (await line.pool.query('select from batches where id = $1', [gone.id])).rowCount === 0,
        { within: 60_000, what: 'the ledger forgetting' },
      )),
  }
}

/** Of an upload that got no answer nobody knows what becomes of it, but that it ends. */
function uploading(state: Sent['state'], error?: string): Scenario {
  const batch = testBatch(70_000)
  return {
    process: 'api',
    settings: { CHUNK_TIMEOUT_SECONDS: '2' },
    prepare: async (line) => void (await startWorkerProcess(line, { CHUNK_TIMEOUT_SECONDS: '2' })),
    async act(_, url) {
      const headers = { 'content-type': 'text/csv', 'batch-id': batch.id }
      await fetch(`${url}/batches`, { method: 'POST', headers, body: new Uint8Array(csv(batch.lines)) })
    },
    sent: [{ batch, ...(state !== undefined && { state }), ...(error !== undefined && { error }) }],
    watches: [{ batch }],
  }
}

/** Reverted by the API: what was not committed is not promised either, and may be asked for again. */
export function revertingOverHttp(state: 'succeeded' | 'reverted'): Scenario {
  const batch = testBatch(300)
  return {
    process: 'api',
    prepare: async (line) => {
      await startWorkerProcess(line)
      await load(line, batch)
    },
    act: async (_, url) => void (await fetch(`${url}/batches/${batch.id}/revert`, { method: 'POST' })),
    sent: [{ batch, state }],
    watches: [{ batch, mayVanish: true }],
  }
}

/** Cancelled by the API. */
export function cancellingOverHttp(): Scenario {
  const batch = testBatch(300)
  const error = 'cancelled'
  return {
    process: 'api',
    prepare: async (line) => {
      await startWorkerProcess(line)
      const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 2 })
      await line.send(records.slice(0, 1))
      await until(line, 'a chunk being stored', 'select from batch_chunks')
    },
    act: async (_, url) => void (await fetch(`${url}/batches/${batch.id}/cancel`, { method: 'POST' })),
    sent: [{ batch, state: 'cancelled', error }],
    watches: [{ batch }],
  }
}

/** Every failpoint has one: a name that is added without fails to compile. */
export const scenarios: Record<Failpoint, () => Scenario> = {
  'took-record': () => chunked(2),
  parsed: () => chunked(2),
  'handled-record': () => chunked(2),
  'before-small': small,
  'inside-small': small,
  'after-small': small,
  'opened-batch': chunked,
  'before-chunk': () => chunked(2),
  'inside-chunk': () => chunked(2),
  'after-chunk': () => chunked(2),
  'before-publish': chunked,
  'inside-publish': chunked,
  'inside-replace': replacing,
  'after-publish': chunked,
  'before-end': cancelling,
  'inside-end': cancelling,
  'after-end': cancelling,
  'before-revert': reverting,
  'inside-revert': reverting,
  'after-revert': reverting,
  'refused-record': refusing,
  'before-relay': small,
  relayed: small,
  'after-relay': small,
  'before-webhook': tellingByWebhook,
  'webhook-taken': tellingByWebhook,
  'before-merge': merging,
  'inside-merge': merging,
  'after-merge': merging,
  'inside-take-out': takingOut,
  'before-purge': purging,
  'inside-purge': purging,
  'after-purge': purging,
  'before-trim': trimming,
  'inside-trim': trimming,
  'after-trim': trimming,
  'inside-forget': forgetting,
  'opened-upload': () => uploading('failed', 'incomplete'),
  'sent-chunk': () => uploading('failed', 'incomplete'),
  'sent-upload': () => uploading('succeeded'),
  ...objectScenarios,
  ...queryScenarios,
}
