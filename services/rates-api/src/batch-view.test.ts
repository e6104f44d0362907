import { describe, expect, it } from '@jest/globals'
import { numbers } from '@rates/testing/batches'
import { type BatchRow } from './batch.entity.ts'
import { viewBatch, type Progress } from './batch-view.ts'

const at = (seconds: number): number => Date.UTC(2026, 10, 21, 8, 0, seconds)

const row: BatchRow = {
  no: 7n,
  id: 'a:b',
  dryRun: false,
  state: 'open',
  source: 'acme',
  replaces: null,
  replacedBy: null,
  retryOf: null,
  deadline: null,
  correlationId: null,
  traceparent: null,
  createdAt: new Date(at(0)),
  finishedAt: null,
  hiddenAt: null,
  purgedAt: null,
  chunksExpected: null,
  rowsAccepted: null,
  rowsRejected: null,
  digest: null,
  error: null,
}
const none: Progress = {
  chunks: 0,
  expected: null,
  share: null,
  rows: 0,
  rejected: 0,
  bytes: 0,
  peakMemory: null,
  attempts: 0,
  workers: [],
  lastWorker: null,
  sentAt: null,
  takenAt: null,
  storedAt: null,
  halfStoredAt: null,
  chunkMs: null,
  uploaded: null,
}
const some: Progress = {
  ...none,
  chunks: 2,
  expected: 8,
  rows: 60_000,
  rejected: 5,
  bytes: 1000,
  peakMemory: 99,
  attempts: 1,
  workers: ['w1', 'w2'],
  lastWorker: 'w2',
  sentAt: at(1),
  takenAt: at(2),
  storedAt: at(11),
  halfStoredAt: at(7),
  chunkMs: 4_500,
}
const links = { publicUrl: '', logTemplate: undefined }

describe('a batch as people see it', () => {
  it('is pending until a chunk is stored', () => {
    expect(viewBatch(row, none, at(5), links)).toEqual({
      id: 'a:b',
      state: 'pending',
      source: 'acme',
      replaces: null,
      replacedBy: null,
      retryOf: null,
      dryRun: false,
      correlationId: null,
      chunks: { done: 0, expected: null },
      rows: { accepted: 0, rejected: 0, expected: null },
      bytes: 0,
      progress: null,
      rowsPerSecond: null,
      etaAt: null,
      deadline: null,
      slackSeconds: null,
      createdAt: '2026-11-21T08:00:00.000Z',
      startedAt: null,
      finishedAt: null,
      hiddenAt: null,
      purgedAt: null,
      phases: { queueSeconds: null, loadSeconds: null, publishSeconds: null },
      peakMemoryBytes: null,
      attempts: 0,
      workers: [],
      log: null,
      traceId: null,
      digest: null,
      error: null,
      links: { self: '/batches/a%3Ab', errors: '/batches/a%3Ab/errors' },
    })
  })

  it('in progress tells how far it is and when it will be done', () => {
    const deadline = new Date(at(62))
    const batch = viewBatch({ ...row, deadline }, some, at(12), links)
    expect(batch).toMatchObject({
      state: 'in_progress',
      chunks: { done: 2, expected: 8 },
      rows: { accepted: 59_995, rejected: 5, expected: null },
      progress: 0.25,
      rowsPerSecond: 6000,
      etaAt: new Date(at(38)).toISOString(), // 2 chunks in 9 s, so 6 more in 27 s
      slackSeconds: 24,
      phases: { queueSeconds: 1, loadSeconds: 9, publishSeconds: null },
    })
  })

  it('is estimated by how far its sender is, while the total is unknown', () => {
    const sent = { ...some, expected: null, share: 2 / 7.5 }
    expect(viewBatch(row, sent, at(12), links)).toMatchObject({
      chunks: { done: 2, expected: null },
      progress: 2 / 7.5,
      etaAt: new Date(at(11) + 5.5 * 4500).toISOString(),
    })
    // It was further than it thought.
    expect(viewBatch(row, { ...sent, share: 1.05 }, at(12), links).progress).toBe(0.99)
  })

  it('does not go back when the total is told and is larger than it seemed', () => {
    const progressOf = (chunks: number, expected: number | null, share: number | null): number | null =>
      viewBatch(row, { ...some, chunks, expected, share }, at(12), links).progress
    expect(progressOf(5, null, 0.7)).toBe(0.7)
    expect(progressOf(6, 10, 0.7)).toBe(0.7)
    expect(progressOf(9, 10, 1.2)).toBe(0.99)
    expect(progressOf(8, 10, 0.7)).toBe(0.8)
    expect(progressOf(10, 10, 0.7)).toBe(1)
    expect(progressOf(0, 10, null)).toBe(0)
    expect(progressOf(0, null, null)).toBeNull()
    // Its end is expected by the total, once that is known.
    expect(viewBatch(row, { ...some, share: 0.9 }, at(12), links).etaAt).toBe(new Date(at(38)).toISOString())
  })

  it('without an estimate is measured against its deadline as it is now', () => {
    const batch = viewBatch({ ...row, deadline: new Date(at(10)) }, { ...some, expected: null }, at(12), links)
    expect(batch).toMatchObject({ progress: null, etaAt: null, slackSeconds: -2 })
  })

  it('that has ended tells what the ledger says, and its phases', () => {
    const ended: BatchRow = {
      ...row,
      state: 'succeeded',
      finishedAt: new Date(at(12)),
      deadline: new Date(at(11)),
      chunksExpected: 2,
      rowsAccepted: 60_000n,
      rowsRejected: 0n,
      digest: Buffer.alloc(16, 0xab),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    }
    expect(viewBatch(ended, { ...some, expected: null, rejected: 0 }, at(99), links)).toMatchObject({
      state: 'succeeded',
      chunks: { done: 2, expected: 2 },
      rows: { accepted: 60_000, rejected: 0, expected: 60_000 },
      progress: 1,
      rowsPerSecond: 6000,
      etaAt: null,
      slackSeconds: -1,
      finishedAt: '2026-11-21T08:00:12.000Z',
      phases: { queueSeconds: 1, loadSeconds: 9, publishSeconds: 1 },
      digest: 'ab'.repeat(16),
      traceId: '0af7651916cd43dd8448eb211c80319c',
    })
  })

  it('never shows a phase of less than nothing, though the clocks differ', () => {
    const batch = viewBatch(row, { ...some, sentAt: at(3) }, at(12), links)
    expect(batch.phases.queueSeconds).toBe(0)
  })

  it('names its log by the worker that stored the last chunk', () => {
    const log = (template: string, progress: Progress): string | null =>
      viewBatch(row, progress, at(12), { publicUrl: '', logTemplate: template }).log
    expect(log('/logs/{worker}.log', some)).toBe('/logs/w2.log')
    expect(log('/logs/{worker}.log', none)).toBeNull()
    expect(log('https://logs/?q={batch}', none)).toBe('https://logs/?q=a:b')
  })

  it('links to itself below the public URL; a dry run to its own record', () => {
    const batch = viewBatch({ ...row, dryRun: true }, none, at(5), { ...links, publicUrl: 'https://rates.example' })
    expect(batch.links).toEqual({
      self: 'https://rates.example/batches/a%3Ab?dryRun=true',
      errors: 'https://rates.example/batches/a%3Ab/errors?dryRun=true',
    })
  })
})

interface Load {
  chunks: number
  workers: number
  /** Seconds when each chunk can be taken. */
  arrival: (chunk: number) => number
  /** Seconds that it takes. */
  loading: (chunk: number) => number
}

/** When each chunk is taken and stored: by the first worker that is free, once it is there. */
function simulate({ chunks, workers, arrival, loading }: Load): { taken: number; stored: number }[] {
  const free = new Array<number>(workers).fill(0)
  return Array.from({ length: chunks }, (_, chunk) => {
    const worker = free.indexOf(Math.min(...free))
    const taken = Math.max(free[worker]!, arrival(chunk))
    const stored = taken + loading(chunk)
    free[worker] = stored
    return { taken, stored }
  })
}

/** Seconds after the start that the ledger expects the end at, asked at `now`. */
function expectedAt(load: Load, now: number): number {
  const done = simulate(load)
    .filter(({ stored }) => stored <= now)
    .sort((a, b) => a.stored - b.stored)
  const half = done[Math.floor(done.length / 2) - 1]
  const progress: Progress = {
    ...none,
    chunks: done.length,
    expected: load.chunks,
    takenAt: at(0) + Math.min(...done.map(({ taken }) => taken)) * 1000,
    storedAt: at(0) + done.at(-1)!.stored * 1000,
    halfStoredAt: half ? at(0) + half.stored * 1000 : null,
    chunkMs: (done.reduce((sum, { taken, stored }) => sum + stored - taken, 0) / done.length) * 1000,
  }
  return (Date.parse(viewBatch(row, progress, at(0) + now * 1000, links).etaAt!) - at(0)) / 1000
}

describe('the expected end of a load of a minute', () => {
  const next = numbers(7)
  const uneven = Array.from({ length: 100 }, () => (next() / 2 ** 32) * 2)
  const atOnce = (): number => 0
  const quick = (): number => 0.05
  const loads: [string, Load][] = [
    ['one worker, busy all along', { chunks: 12, workers: 1, arrival: atOnce, loading: () => 5 }],
    ['two workers in step', { chunks: 20, workers: 2, arrival: atOnce, loading: () => 6 }],
    [
      'three workers, chunks of uneven size',
      { chunks: 60, workers: 3, arrival: atOnce, loading: (i) => 3 * uneven[i]! },
    ],
    ['a sender that paces ten records', { chunks: 10, workers: 2, arrival: (i) => i * 6, loading: quick }],
    ['one that starts late', { chunks: 15, workers: 2, arrival: (i) => 20 + i * 4, loading: quick }],
    [
      'one that sends five at a time',
      { chunks: 60, workers: 2, arrival: (i) => Math.floor(i / 5) * 5, loading: quick },
    ],
    [
      'an upload, whose first chunks are held back until it is known to be large',
      { chunks: 30, workers: 2, arrival: (i) => Math.max(i, 5) * 2, loading: quick },
    ],
    ['one with uneven pauses', { chunks: 60, workers: 2, arrival: (i) => i + uneven[i]!, loading: quick }],
    ['paced, with a worker that is half busy', { chunks: 20, workers: 1, arrival: (i) => i * 3, loading: () => 1.5 }],
  ]
  it.each(loads)('is right within 15 % of what is left, at half way and around it: %s', (_, load) => {
    const done = simulate(load)
    const [start, end] = [done[0]!.taken, Math.max(...done.map(({ stored }) => stored))]
    for (let part = 0.45; part < 0.56; part += 0.01) {
      const now = start + (end - start) * part
      const error = Math.abs(expectedAt(load, now) - end) / (end - now)
      expect({ part, error, right: error <= 0.15 }).toMatchObject({ right: true })
    }
  })

  it('moves on while nothing comes', () => {
    const load: Load = { chunks: 20, workers: 1, arrival: (i) => i * 3, loading: quick }
    const seen = [30.1, 33, 40, 60].map((now) =>
      Math.round(expectedAt({ ...load, arrival: (i) => (i > 10 ? 1e6 : i * 3) }, now)),
    )
    expect(seen).toEqual([57, 57, 64, 84])
  })
})
