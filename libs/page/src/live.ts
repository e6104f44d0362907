import { type Batch } from '@rates/core/batch'

export interface Watch {
  onBatch(batch: Batch): void
  /** What was there when the connection was made has been told; a connection to one batch alone does not say so. */
  onReady?(): void
  /** Whether the service is heard. */
  onConnected(connected: boolean): void
}

/** A service that restarts is back by then, as a rule: nobody has to be told. */
const SILENCE_MILLISECONDS = 2500
const RETRY_MILLISECONDS = 2000

/**
 * Follows batches by server-sent events: all of them, or one. A hidden tab lets its connection go, for a browser has
 * only a few to each service; shown again, it gets the present state.
 * @returns ends it
 */
export function follow(path: string, watch: Watch): () => void {
  let source: EventSource | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  let silence: ReturnType<typeof setTimeout> | undefined
  const heard = (): void => {
    clearTimeout(silence)
    silence = undefined
    watch.onConnected(true)
  }
  const lost = (): void => {
    silence ??= setTimeout(() => watch.onConnected(false), SILENCE_MILLISECONDS)
    // A refusal, such as 503, ends an EventSource for good; after all else it tries again by itself.
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(reopen, RETRY_MILLISECONDS)
  }
  const open = (): void => {
    source = new EventSource(path)
    source.addEventListener('open', heard)
    source.addEventListener('batch', ({ data }: MessageEvent<string>) => watch.onBatch(JSON.parse(data) as Batch))
    source.addEventListener('ready', () => watch.onReady?.())
    source.addEventListener('error', lost)
  }
  const close = (): void => {
    clearTimeout(retry)
    source?.close()
    source = undefined
  }
  const reopen = (): void => {
    close()
    if (!document.hidden) open()
  }
  document.addEventListener('visibilitychange', reopen)
  reopen()
  return () => {
    document.removeEventListener('visibilitychange', reopen)
    clearTimeout(silence)
    close()
  }
}

export const ALL_BATCHES = 'batches?format=events'
export const oneBatch = (id: string, dryRun: boolean): string =>
  `batches/${encodeURIComponent(id)}?format=events${dryRun ? '&dryRun=true' : ''}`
