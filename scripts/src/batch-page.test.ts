import { describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { shownBatch } from '@rates/testing/shown-batch'
import { describeBatch, listBatches } from './batch-page.ts'

/** It loads. */
const batch = (change: Partial<Batch>): Batch =>
  shownBatch('b-1', {
    state: 'in_progress',
    source: 'acme',
    chunks: { done: 8, expected: 32 },
    rows: { accepted: 250_000, rejected: 0, expected: 1_000_000 },
    bytes: 7_000_000,
    progress: 0.25,
    rowsPerSecond: 500_000,
    etaAt: '2026-01-31T08:00:02.000Z',
    deadline: '2026-01-31T08:00:30.000Z',
    slackSeconds: 28,
    createdAt: '2026-01-31T08:00:00.000Z',
    startedAt: '2026-01-31T08:00:00.100Z',
    phases: { queueSeconds: 0.1, loadSeconds: null, publishSeconds: null },
    peakMemoryBytes: 120e6,
    workers: ['ingest-1', 'ingest-2'],
    ...change,
  })

describe('describeBatch', () => {
  it('shows what is known of a batch that is being loaded', () => {
    expect(describeBatch(batch({})).join('\n')).toBe(`batch     b-1
state     in_progress 25 %
source    acme
rows      250 000 accepted, 0 rejected, of 1 000 000 rows
chunks    8 of 32, 7.0 MB
created   2026-01-31 08:00:00 UTC
started   2026-01-31 08:00:00 UTC
expected  2026-01-31 08:00:02 UTC
phases    queued 0.10 s
speed     500 000 rows/s
deadline  2026-01-31 08:00:30 UTC (28 s to spare)
workers   ingest-1, ingest-2
memory    120 MB in a worker at most`)
  })

  it('shows why it failed', () => {
    const error = { code: 'rejected_rows', message: '1 of 2 rows', rules: { quotes: 1 } } as const
    expect(describeBatch(batch({ state: 'failed', error, slackSeconds: -3 })).join('\n')).toMatch(
      /\(missed by 3\.0 s\)[^]*error +rejected_rows: 1 of 2 rows\n\n {2}quotes {2}1 {2}a quoted field/,
    )
  })
})

describe('listBatches', () => {
  it('gives each a line', () => {
    const failed = batch({
      id: 'b-2',
      state: 'failed',
      dryRun: true,
      source: null,
      finishedAt: '2026-01-31T08:00:01.5Z',
    })
    failed.rows = { accepted: 1, rejected: 1, expected: 2 }
    failed.error = { code: 'rejected_rows', message: '' }
    expect(listBatches([failed, batch({})])).toEqual([
      'batch  state             source     rows  rejected   took  created                  error',
      'b-2    failed (dry run)  -             2         1  1.5 s  2026-01-31 08:00:00 UTC  rejected_rows',
      'b-1    in_progress 25 %  acme    250 000         -      -  2026-01-31 08:00:00 UTC',
    ])
  })
})
