import { type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { type Logger } from '@rates/service/log'
import { isTransientOfStore, StoreRefused } from '@rates/service/object-store'
import { type ClaimMetrics } from './claim-metrics.ts'
import { ClaimGone, type OpenClaim } from './claim-store.ts'
import { Problem } from './problem.ts'

/** Whose memory is a part each. One more comes again: a hundred at once would keep those who ask for rates waiting. */
const READERS_AT_ONCE = 16
const LATER = { headers: { 'retry-after': '5' } }

export interface ReaderSettings {
  /** Milliseconds in which a caller takes nothing of what waits for it, after which it counts as gone. */
  readonly idleMs: number
  readonly metrics: ClaimMetrics
  readonly log: Logger
}

export const expired = (): Problem => new Problem(410, 'This has expired. Ask again for what it was the answer to.')

/** Those who read what was put away, in this process. */
export class ClaimReaders {
  readonly #settings: ReaderSettings
  #going = 0

  constructor(settings: ReaderSettings) {
    this.#settings = settings
  }

  /**
   * The content for an answer, when its beginning is there. The reader's place is free again when the answer is over,
   * however it ends: what is broken, or not taken, ends with the connection. @throws Problem
   */
  async stream(claim: OpenClaim, answer: ServerResponse): Promise<Readable> {
    if (this.#going >= READERS_AT_ONCE) throw new Problem(503, `${READERS_AT_ONCE} are reading already.`, LATER)
    const { idleMs, metrics, log } = this.#settings
    const gone = new AbortController()
    const content = claim.content(gone.signal)
    let fault: unknown
    this.#going++
    metrics.readers.inc()
    answer.once('close', () => {
      this.#going--
      metrics.readers.dec()
      metrics.read(fault !== undefined ? 'broken' : answer.writableFinished ? 'served' : 'left')
      gone.abort()
      void content.return(undefined).catch(() => undefined)
    })
    const broke = (error: unknown): void => {
      if (gone.signal.aborted) return
      fault = error
      // The beginning tells which one; by all of its id whoever sees the log could read it.
      log[isTransientOfStore(error) ? 'warn' : 'error'](
        { err: error, claim: claim.id.slice(0, 6) },
        'what was put away cannot be read',
      )
    }
    try {
      const first = await content.next()
      answer.setTimeout(idleMs, () => {
        if (answer.writableLength > 0) answer.destroy() // else it is us who have nothing
      })
      return Readable.from(goingOn(first, content, broke), { objectMode: false })
    } catch (error) {
      broke(error)
      throw asProblem(error)
    }
  }
}

async function* goingOn(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
  broke: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    if (!first.done) yield first.value
    yield* rest
  } catch (error) {
    broke(error)
    throw error // the stream is destroyed by it, and the connection with that
  }
}

function asProblem(error: unknown): unknown {
  if (error instanceof ClaimGone) return expired()
  if (error instanceof StoreRefused || isTransientOfStore(error)) {
    return new Problem(503, 'What holds the content cannot be reached.', LATER)
  }
  return error
}
