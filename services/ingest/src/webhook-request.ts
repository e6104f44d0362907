import http from 'node:http'
import https from 'node:https'

/** How long a receiver may take for all of it: the connection, TLS, its answer. */
const TIMEOUT_MILLISECONDS = 10_000
/** Of an answer's body as much is read, so that the receiver can end in good order; nobody looks at it. */
const MAX_ANSWER_BYTES = 4_096

export interface Answer {
  status: number
  /** What the receiver asks for, in seconds from now. */
  retryAfterSeconds: number | undefined
}

export interface RequestOptions {
  /** Gives it up. */
  signal: AbortSignal
  timeoutMilliseconds?: number
}

/**
 * One POST on a connection of its own. Redirects are answers like any other. A login in the URL goes as Basic
 * authorization. @throws what names no more of the URL than host and port
 */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  { signal, timeoutMilliseconds = TIMEOUT_MILLISECONDS }: RequestOptions,
): Promise<Answer> {
  const timeout = AbortSignal.timeout(timeoutMilliseconds)
  try {
    return await exchange(new URL(url), headers, body, AbortSignal.any([signal, timeout]))
  } catch (error) {
    if (timeout.aborted && !signal.aborted) throw new Error(`no answer within ${timeoutMilliseconds / 1000} s`)
    throw error
  }
}

function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http
    const bytes = Buffer.from(body)
    const options = { method: 'POST', agent: false, signal, headers: { ...headers, 'content-length': bytes.length } }
    // Once it has answered, it does not matter what becomes of the rest.
    let answer: Answer | undefined
    const sent = request(url, options, (response) => {
      const retryAfterSeconds = secondsUntil(response.headers['retry-after'], Date.now())
      const answered = { status: response.statusCode!, retryAfterSeconds }
      answer = answered
      let read = 0
      response.on('data', (part: Buffer) => {
        read += part.length
        if (read > MAX_ANSWER_BYTES) response.destroy()
      })
      response.on('error', () => undefined)
      response.once('close', () => resolve(answered))
    })
    sent.on('error', (error) => (answer ? resolve(answer) : reject(error)))
    sent.end(bytes)
  })
}

/** Of a Retry-After: seconds, or a date. @param now milliseconds since 1970 */
export function secondsUntil(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter)
  // Without its end almost everything is a date to JavaScript.
  const at = retryAfter.endsWith(' GMT') ? Date.parse(retryAfter) : NaN
  return Number.isNaN(at) ? undefined : Math.max(0, (at - now) / 1000)
}
