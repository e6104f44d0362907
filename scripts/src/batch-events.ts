import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch } from '@rates/core/batch'
import { notTheApi, openApi, unreachable, type ApiFailure } from './api.ts'
import { passes, pause } from './back-off.ts'
import { CommandFailure } from './exit.ts'
import { EventReader, type ServerEvent } from './sse.ts'

/** The API sends something every 15 s: after this time without a byte the connection is dead. */
const SILENCE_MILLISECONDS = 40_000

export type Told =
  | { kind: 'connected' }
  | { kind: 'batch'; batch: Batch }
  /** Of all batches: those that are there have been told. */
  | { kind: 'ready' }
  /** The stream ended or broke, or there was none; it is asked for again. */
  | { kind: 'lost'; error: ApiFailure }

/**
 * What the API tells of a batch, or of all, as it happens, for as long as the API goes on or `signal` is not aborted.
 * After a break it asks again, and is told the present state. @throws ApiFailure for what will not pass
 */
export async function* batchEvents(url: string, path: string, signal: AbortSignal): AsyncGenerator<Told> {
  for (let failures = 1; !signal.aborted; failures++) {
    const reader = new EventReader()
    let error: ApiFailure
    try {
      for await (const event of connect(url, path, reader, signal)) {
        if (event === 'connected') {
          failures = 1
          yield { kind: 'connected' }
        } else if (event.event === 'end') return
        else if (event.event === 'ready') yield { kind: 'ready' }
        else if (event.event === 'batch') yield { kind: 'batch', batch: JSON.parse(event.data) as Batch }
      }
      error = unreachable(url, new Error('it ended the connection'))
    } catch (caught) {
      if (signal.aborted) return
      if (!passes(caught)) throw caught
      error = caught
    }
    yield { kind: 'lost', error }
    const asked = Math.max((reader.retryMs ?? 0) / 1000, error.retryAfterSeconds ?? 0)
    await sleep(pause(failures, asked), undefined, { signal }).catch(() => undefined)
  }
}

async function* connect(
  url: string,
  path: string,
  reader: EventReader,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent | 'connected'> {
  const over = new AbortController()
  const silence = setTimeout(() => over.abort(new Error('it has gone silent')), SILENCE_MILLISECONDS)
  try {
    const headers = { accept: 'text/event-stream' }
    const answer = await openApi(url, path, { headers, signal: AbortSignal.any([signal, over.signal]) })
    const type = answer.headers.get('content-type') ?? ''
    if (!type.startsWith('text/event-stream') || !answer.body) throw notTheApi(url, `it streams no events`)
    yield 'connected'
    const decoder = new TextDecoder()
    for await (const bytes of answer.body) {
      silence.refresh()
      yield* reader.push(decoder.decode(bytes, { stream: true }))
    }
  } catch (error) {
    throw error instanceof CommandFailure ? error : unreachable(url, error)
  } finally {
    clearTimeout(silence)
    over.abort()
  }
}
