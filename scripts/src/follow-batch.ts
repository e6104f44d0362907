import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch } from '@rates/core/batch'
import { readApi } from './api.ts'
import { duration, type Progress } from './progress.ts'

const POLL_MILLISECONDS = 250
/** Without progress for so long, the person is told what may be the matter. */
const PATIENCE_MILLISECONDS = 10_000

/** Shows how far the platform is with a batch, as its API says, until `signal` is aborted. Never throws. */
export async function followBatch(
  api: { url: string; path: string },
  rows: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let done = 0
  let changed = performance.now()
  let started = false
  for (;;) {
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    let comment = ''
    try {
      const batch = await readApi<Batch>(api.url, api.path, signal)
      const now = batch ? batch.rows.accepted + batch.rows.rejected : 0
      if (now !== done) changed = performance.now()
      done = now
      if (performance.now() - changed > PATIENCE_MILLISECONDS) {
        comment = done < rows ? 'nothing is being loaded: does an ingest worker run?' : 'waiting for the reply'
      }
    } catch {
      comment = 'the API does not answer'
    }
    if (aborted(signal)) return
    if (!started) progress.start('loading', { unit: 'rows', total: rows })
    started = true
    progress.update(done, comment)
  }
}

const aborted = (signal: AbortSignal): boolean => signal.aborted

/** Where there is nothing to count, the time goes by: in a terminal on a line that vanishes, elsewhere a line once. */
export async function showElapsed(label: string, signal: AbortSignal, out = process.stderr): Promise<void> {
  const began = performance.now()
  const live = out.isTTY && !process.env['CI']
  let shown = false
  for (;;) {
    await sleep(live ? POLL_MILLISECONDS : 2_000, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) break
    if (live) out.write(`\r\x1b[2K${label}  ${duration((performance.now() - began) / 1000)}`)
    else if (!shown) out.write(`${label}\n`)
    shown = true
  }
  if (live && shown) out.write('\r\x1b[2K')
}
