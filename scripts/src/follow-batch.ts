import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch } from '@rates/core/batch'
import { readApi, type ApiFailure } from './api.ts'
import { passes } from './back-off.ts'
import { batchEvents } from './batch-events.ts'
import { duration, type Progress, type Screen } from './progress.ts'

const REDRAW_MILLISECONDS = 250
/** So long the API has to tell of the batch, before it counts as one that no worker has met yet. */
const FIRST_MILLISECONDS = 1_000
/** Without progress for so long, the person is told what may be the matter. */
const PATIENCE_MILLISECONDS = 10_000

export const hasEnded = ({ state }: Batch): boolean => state !== 'pending' && state !== 'in_progress'

/**
 * Shows how far the platform is with a batch, as its API says, until it has its outcome; undefined: `signal` was aborted
 * before. `rows` is how many there are, if that is known here. @throws ApiFailure for what will not pass
 */
export async function followBatch(
  api: { url: string; path: string },
  rows: number | undefined,
  progress: Progress,
  signal: AbortSignal,
  onBatch?: (batch: Batch) => void,
): Promise<Batch | undefined> {
  let last: Batch | undefined
  const began = performance.now()
  let changed = began
  let lost = false
  let started = false
  const draw = (): void => {
    if (!last && !lost && (rows === undefined || performance.now() - began < FIRST_MILLISECONDS)) return
    const done = last ? rowsOf(last) : 0
    const total = rows ?? (last && totalOf(last, done))
    // What was loaded meanwhile says nothing of the speed from now on.
    if (!started) progress.start('loading', { unit: 'rows', from: done, ...(total !== undefined && { total }) })
    started = true
    if (total !== undefined) progress.expect(total)
    const stands = performance.now() - changed > PATIENCE_MILLISECONDS
    progress.update(done, lost ? 'the API does not answer' : stands ? whatIsMissing(done, total) : '')
  }
  // What takes no time needs no line.
  const timer = setInterval(draw, REDRAW_MILLISECONDS)
  try {
    const path = `${api.path}${api.path.includes('?') ? '&' : '?'}until=outcome`
    for await (const told of batchEvents(api.url, path, signal)) {
      const batch = told.kind === 'lost' ? await askOnce(api, told.error, signal) : told.kind === 'batch' && told.batch
      lost = told.kind === 'lost' && !batch
      if (!batch) continue
      if (!last || rowsOf(batch) !== rowsOf(last)) changed = performance.now()
      last = batch
      onBatch?.(last)
      if (!hasEnded(last)) continue
      if (started) draw()
      return last
    }
    return undefined
  } finally {
    clearInterval(timer)
  }
}

/** The API may refuse one follower more (503), and answer all the same. */
async function askOnce(
  { url, path }: { url: string; path: string },
  { status }: ApiFailure,
  signal: AbortSignal,
): Promise<Batch | undefined> {
  if (status === undefined) return undefined
  return readApi<Batch>(url, path, signal).catch((error: unknown) => {
    if (signal.aborted || passes(error)) return undefined
    throw error
  })
}

const rowsOf = ({ rows }: Batch): number => rows.accepted + rows.rejected

/** Estimated by the share that is done, where only that is told. */
function totalOf({ rows, progress }: Batch, done: number): number | undefined {
  if (rows.expected !== null) return rows.expected
  return progress === null || progress === 0 ? undefined : Math.round(done / progress)
}

const whatIsMissing = (done: number, total: number | undefined): string =>
  total === undefined || done < total
    ? 'nothing is being loaded: "rates status" shows who works and what waits'
    : 'waiting for the outcome'

/** Where there is nothing to count, the time goes by: in a terminal on a line that vanishes, elsewhere a line once. */
export async function showElapsed(label: string, signal: AbortSignal, out: Screen = process.stderr): Promise<void> {
  const began = performance.now()
  const live = out.isTTY === true && !process.env['CI']
  let shown = false
  for (;;) {
    await sleep(live ? REDRAW_MILLISECONDS : 2_000, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) break
    if (live) out.write(`\r\x1b[2K${label}  ${duration((performance.now() - began) / 1000)}`)
    else if (!shown) out.write(`${label}\n`)
    shown = true
  }
  if (live && shown) out.write('\r\x1b[2K')
}
