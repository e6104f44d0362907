/** What became of one request. Times are milliseconds, `at` since 1970. */
export interface Outcome {
  /** When it was due: waiting for a connection counts. */
  at: number
  ms: number
  /** How often it was sent again. */
  retries: number
  /** Why it failed for good; without it, it was answered as it should be. */
  failed?: string
  /** Why it was sent again, the first time. */
  retried?: string
}

/** An answer that asks to be asked again. */
export class TryAgain extends Error {
  readonly seconds: number

  constructor(message: string, seconds: number) {
    super(message)
    this.seconds = seconds
  }
}

/** How long a request is sent again. */
const PATIENCE = 60_000

/**
 * Sends a request, again only if it was answered 503 (or 409, an upload of the same key) with Retry-After, after that
 * many seconds; or if the kept-alive connection that it was sent on was closed before an answer came; for a minute at
 * most. A connection that cannot be opened, one that breaks otherwise, and every other answer is a failure at once.
 */
export async function outcomeOf(due: number, send: () => Promise<void>): Promise<Outcome> {
  let retries = 0
  let retried: string | undefined
  for (;;) {
    try {
      await send()
      return { at: due, ms: Date.now() - due, retries, ...(retried !== undefined && { retried }) }
    } catch (error) {
      const { message } = error as Error
      if (!(error instanceof TryAgain) || Date.now() - due > PATIENCE) {
        return { at: due, ms: Date.now() - due, retries, failed: message, ...(retried !== undefined && { retried }) }
      }
      retries++
      retried ??= message
      await new Promise((resolve) => setTimeout(resolve, error.seconds * 1000))
    }
  }
}
