import { describe, expect, it } from '@jest/globals'
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
  deadline: null,
  correlationId: null,
  traceparent: null,
  createdAt: new Date(at(0)),
  finishedAt: null,
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
      etaAt: new Date(at(42)).toISOString(), // 2 chunks in 10 s, so 6 more in 30 s
      slackSeconds: 20,
      phases: { queueSeconds: 1, loadSeconds: 9, publishSeconds: null },
    })
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
