import { type Batch } from '@rates/core/batch'

export interface Watch {
  onBatch(batch: Batch): void
  /** What was there when the connection was made has been told. */
  onReady?(): void
  /** Whether the service is heard. */
  onConnected(connected: boolean): void
}

/**
 * Follows batches by server-sent events: all of them, or one. A hidden tab lets its connection go, for a browser has
 * only a few to each service; shown again, it gets the present state.
 * @returns ends it
 */
export function follow(path: string, watch: Watch): () => void {
  let source: EventSource | undefined
  let retry: ReturnType<typeof setTimeout> | undefined
  const open = (): void => {
    source = new EventSource(path)
    source.addEventListener('open', () => watch.onConnected(true))
    source.addEventListener('batch', (event) =>
      watch.onBatch(JSON.parse((event as MessageEvent<string>).data) as Batch),
    )
    source.addEventListener('ready', () => watch.onReady?.())
    source.addEventListener('error', () => {
      watch.onConnected(false)
      // A refusal, such as 503, ends an EventSource for good.
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(reopen, 2000)
    })
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
    close()
  }
}

export const ALL_BATCHES = 'batches?format=events'
export const oneBatch = (id: string, dryRun: boolean): string =>
  `batches/${encodeURIComponent(id)}?format=events${dryRun ? '&dryRun=true' : ''}`
