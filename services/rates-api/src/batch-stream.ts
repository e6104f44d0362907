import { Readable } from 'node:stream'

/** Of server-sent events; the media type of the answer is text/event-stream. */
export const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no', // or nginx keeps them back
}

/** How long a client waits before it connects again. */
const RETRY = 'retry: 1000\n\n'
const COMMENT = ':\n\n'

/** Characters that are handed over in one go. */
const PIECE = 65_536
/** Batches that may wait for a slow reader; beyond them its stream ends, and it begins anew. */
const MAX_WAITING = 5_000
/** A reader has so long to take the end of its stream, in milliseconds. */
const LAST_WORDS = 1_000

export interface StreamOptions {
  /** Called once, however it ends. */
  readonly onEnd: () => void
  /** Milliseconds between comments, which show both sides that the other one is there. */
  readonly beat?: number
  /** Beats in which a reader may take nothing of what waits for it. */
  readonly stalledBeats?: number
}

/**
 * Server-sent events for one reader. What it does not take waits here and not in a buffer, and of each batch only the
 * latest state: a slow reader misses states between, and costs no memory beyond the batches that there are.
 */
export class BatchStream extends Readable {
  /** Events by what they are about, in the order in which they are to be sent. */
  readonly #waiting = new Map<bigint | string, string>([['retry', RETRY]])
  readonly #onEnd: () => void
  readonly #timer: NodeJS.Timeout
  readonly #stalledBeats: number
  #wanted = false
  #taken = true
  #stalled = 0
  #ending = false

  constructor({ onEnd, beat = 10_000, stalledBeats = 6 }: StreamOptions) {
    super()
    this.#onEnd = onEnd
    this.#stalledBeats = stalledBeats
    this.#timer = setInterval(() => this.#beat(), beat)
  }

  /** Tells batches, as JSON. */
  tell(batches: Iterable<{ no: bigint; json: string }>): void {
    if (this.#ending) return
    if (this.#waiting.size > MAX_WAITING) return this.finish()
    for (const { no, json } of batches) this.#waiting.set(no, `event: batch\ndata: ${json}\n\n`)
    this.#give()
  }

  /** Once all that came before was told. */
  tellReady(): void {
    if (this.#ending) return
    this.#waiting.set('ready', 'event: ready\ndata: {}\n\n')
    this.#give()
  }

  /** The last event: there is nothing more to come. */
  tellEnd(): void {
    if (this.#ending) return
    this.#waiting.set('end', 'event: end\ndata: {}\n\n')
    this.#ending = true
    this.#give()
  }

  /** Ends here, though more will come: the reader is to connect again. */
  finish(): void {
    if (this.#ending) return
    this.#waiting.clear()
    this.#waiting.set('retry', RETRY)
    this.#ending = true
    setTimeout(() => this.destroy(), LAST_WORDS).unref()
    this.#give()
  }

  override _read(): void {
    this.#wanted = true
    this.#give()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.#timer)
    this.#waiting.clear()
    this.#onEnd()
    done(error)
  }

  #give(): void {
    if (!this.#wanted || this.destroyed) return
    let text = ''
    for (const [key, event] of this.#waiting) {
      this.#waiting.delete(key)
      text += event
      if (text.length >= PIECE) break
    }
    if (text !== '') {
      this.#taken = true
      this.#wanted = false
      this.push(text)
    } else if (this.#ending) {
      this.#wanted = false
      this.push(null)
    }
  }

  #beat(): void {
    this.#stalled = this.#taken ? 0 : this.#stalled + 1
    this.#taken = false
    if (this.#stalled >= this.#stalledBeats)
      this.destroy() // its peer is there and takes nothing
    else if (this.#waiting.size === 0 && !this.#ending) {
      this.#waiting.set('comment', COMMENT)
      this.#give()
    }
  }
}
