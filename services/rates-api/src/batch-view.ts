import { type Batch, type BatchState } from '@rates/core/batch'
import { type BatchRow } from './batch.entity.ts'

/** What a batch's chunks add up to. Times are milliseconds since 1970 by PostgreSQL's clock, `sentAt` by the broker's. */
export interface Progress {
  chunks: number
  /** The total, if any chunk that came tells it. */
  expected: number | null
  /**
   * The stored chunks' part of the batch by what their sender said, which may come out as more than 1; null where it said
   * nothing. Each counts for its share of what had been sent with it: the sum of these only rises, whatever the order in
   * which chunks are stored. In SQL it is a sum of numerics, which has no order either.
   */
  share: number | null
  rows: number
  rejected: number
  bytes: number
  peakMemory: number | null
  attempts: number
  workers: string[]
  /** The worker of the chunk stored last. */
  lastWorker: string | null
  sentAt: number | null
  takenAt: number | null
  storedAt: number | null
  /** When half of the chunks, rounded down, were stored; null for a single one. */
  halfStoredAt: number | null
  /** Mean time from taking a chunk to its being stored. */
  chunkMs: number | null
  /** Rows of a finished upload. */
  uploaded: number | null
}

export interface Links {
  /** Precedes the paths; empty: relative. */
  publicUrl: string
  logTemplate: string | undefined
}

/** A batch as people see it, at the moment `now`. */
export function viewBatch(row: BatchRow, progress: Progress, now: number, links: Links): Batch {
  const expected = row.chunksExpected ?? progress.expected
  const finished = row.finishedAt?.getTime()
  const accepted = row.rowsAccepted === null ? progress.rows - progress.rejected : Number(row.rowsAccepted)
  const rejected = row.rowsRejected === null ? progress.rejected : Number(row.rowsRejected)
  const whole = expected !== null && progress.chunks === expected
  const done = partDone(progress, expected)
  const total = expected ?? (done && progress.chunks / done)
  const eta = finished === undefined ? expectedEnd(progress, total, now) : undefined
  const loadingSince = progress.takenAt
  const loadedUntil = finished ?? now
  return {
    id: row.id,
    state: shownState(row.state, progress.chunks),
    source: row.source,
    replaces: row.replaces,
    replacedBy: row.replacedBy,
    retryOf: row.retryOf,
    dryRun: row.dryRun,
    correlationId: row.correlationId,
    chunks: { done: progress.chunks, expected },
    rows: { accepted, rejected, expected: whole ? progress.rows : progress.uploaded },
    bytes: progress.bytes,
    progress: done,
    rowsPerSecond:
      loadingSince === null || loadedUntil <= loadingSince
        ? null
        : Math.round((progress.rows / (loadedUntil - loadingSince)) * 1e3),
    etaAt: time(eta),
    deadline: time(row.deadline),
    slackSeconds: row.deadline === null ? null : seconds(finished ?? eta ?? now, row.deadline.getTime()),
    createdAt: row.createdAt.toISOString(),
    startedAt: time(progress.takenAt),
    finishedAt: time(row.finishedAt),
    hiddenAt: time(row.hiddenAt),
    purgedAt: time(row.purgedAt),
    phases: {
      queueSeconds: duration(progress.sentAt, progress.takenAt),
      loadSeconds: duration(progress.takenAt, progress.storedAt),
      publishSeconds: duration(progress.storedAt, finished),
    },
    peakMemoryBytes: progress.peakMemory,
    attempts: progress.attempts,
    workers: progress.workers,
    log: logOf(row.id, progress.lastWorker, links.logTemplate),
    traceId: row.traceparent?.split('-')[1] ?? null,
    digest: row.digest?.toString('hex') ?? null,
    error: row.error,
    links: batchLinks(row.id, row.dryRun, links.publicUrl),
  }
}

export function batchLinks(id: string, dryRun: boolean, publicUrl: string): Batch['links'] {
  const path = `${publicUrl}/batches/${encodeURIComponent(id)}`
  const query = dryRun ? '?dryRun=true' : ''
  return { self: `${path}${query}`, errors: `${path}/errors${query}` }
}

/** A batch that is open is pending until a chunk of it is stored. */
export const shownState = (state: BatchRow['state'], chunks: number): BatchState =>
  state !== 'open' ? state : chunks === 0 ? 'pending' : 'in_progress'

/** All of it is only what has a total and all chunks. */
const ALMOST = 0.99

/** How far a batch is, from 0 to 1: never less than when it had fewer chunks, nor once its total is told. */
function partDone({ chunks, share }: Progress, total: number | null): number | null {
  const estimated = share === null ? null : Math.min(share, ALMOST)
  return total === null ? estimated : Math.max(Math.min(chunks / total, 1), estimated ?? 0)
}

/**
 * If the chunks that are left come as those did that are stored. The time of a chunk is counted in two ways, and the
 * longer one holds: all the time for all chunks, which is right where workers are busy all along; and since half of them
 * were stored, which is right where workers wait for the sender, whose first chunks come in one go. A chunk that is late
 * delays those behind it.
 */
function expectedEnd(progress: Progress, total: number | null, now: number): number | undefined {
  const { chunks, takenAt, storedAt, halfStoredAt, chunkMs } = progress
  if (total === null || takenAt === null || storedAt === null || chunks === 0) return undefined
  const mean = Math.max(storedAt - takenAt, 0) / chunks
  const recent = halfStoredAt === null ? 0 : (storedAt - halfStoredAt) / Math.ceil(chunks / 2)
  const perChunk = Math.max(mean, recent)
  // Workers that load at the same time may well be done at the same time, too.
  const late = Math.max(now - storedAt - Math.max(perChunk, chunkMs ?? 0), 0)
  return Math.max(now, storedAt + perChunk * Math.max(total - chunks, 0) + late)
}

function logOf(batch: string, worker: string | null, template: string | undefined): string | null {
  if (template === undefined || (worker === null && template.includes('{worker}'))) return null
  return template.replaceAll('{worker}', () => worker ?? '').replaceAll('{batch}', () => batch)
}

const time = (at: Date | number | null | undefined): string | null =>
  at === null || at === undefined ? null : new Date(at).toISOString()

const seconds = (from: number, to: number): number => Math.round(to - from) / 1e3

/** The clocks of broker, workers and database may differ a little: no phase takes less than nothing. */
const duration = (from: number | null, to: number | null | undefined): number | null =>
  from === null || to === null || to === undefined ? null : Math.max(seconds(from, to), 0)
