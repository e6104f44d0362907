import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { TryAgain } from './outcomes.ts'

export interface Sending {
  method?: string
  path: string
  headers?: Record<string, string>
  /** Sent one after the other, with the pause between them. */
  body?: readonly Uint8Array[]
  pause?: number
}

/** Keep-alive connections of an ordinary client; requests go round them, so that none of them lies idle for long. */
export function keepAlive(connections: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections, scheduling: 'fifo' })
}

/**
 * @returns the answer's text
 * @throws TryAgain where the service asks for it: 503, or 409 while an upload by this key is going on, with Retry-After;
 *   and where a kept-alive connection was closed before a byte of the answer came
 * @throws an error for any other answer that is no success
 */
export async function ask(url: string, agent: Agent, sending: Sending): Promise<string> {
  const { method = 'GET', path, headers = {}, body = [], pause = 0 } = sending
  const repeatable = method === 'GET' || 'idempotency-key' in headers
  const answer = await new Promise<{ status: number; retryAfter: string | undefined; text: string }>(
    (resolve, reject) => {
      const sent = request(new URL(path, url), { agent, method, headers, timeout: 30_000 })
      sent.once('timeout', () => sent.destroy(new Error('no answer within 30 s')))
      sent.once('error', (error: NodeJS.ErrnoException) => {
        const told = `${error.code ?? ''} ${error.message}`.trim()
        // By the time it was sent the server may have closed a connection that lay idle (RFC 9112, 9.3.1).
        const closed = sent.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')
        reject(closed && repeatable ? new TryAgain(`kept-alive connection was closed: ${told}`, 0) : new Error(told))
      })
      sent.once('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.once('error', (error) => reject(new Error(`the answer broke off: ${error.message}`)))
        response.once('end', () =>
          resolve({ status: response.statusCode!, retryAfter: response.headers['retry-after'], text }),
        )
      })
      void write(sent, body, pause).catch(reject)
    },
  )
  if (answer.status >= 200 && answer.status < 300) return answer.text
  const told = `${answer.status} ${answer.text.slice(0, 200)}`
  if ([503, 409].includes(answer.status) && answer.retryAfter !== undefined)
    throw new TryAgain(told, Number(answer.retryAfter))
  throw new Error(told)
}

async function write(sent: ReturnType<typeof request>, body: readonly Uint8Array[], pause: number): Promise<void> {
  for (const [i, piece] of body.entries()) {
    if (i > 0 && pause > 0) await sleep(pause)
    if (sent.destroyed) return
    sent.write(piece)
  }
  sent.end()
}
