import { afterEach, describe, expect, it } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { readApi } from './api.ts'
import { batchEvents } from './batch-events.ts'
import { followBatch } from './follow-batch.ts'
import { HttpSender } from './http-sender.ts'
import { Progress } from './progress.ts'

const rows = { accepted: 1, rejected: 0, expected: 1 }
const never = new AbortController().signal

let server: Server
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function serve(handle: (request: IncomingMessage, answer: ServerResponse) => void): Promise<string> {
  server = createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const isStream = ({ headers }: IncomingMessage): boolean => headers.accept === 'text/event-stream'

describe('an API that has enough followers', () => {
  it('is asked for the outcome all the same', async () => {
    const states = ['in_progress', 'in_progress', 'succeeded']
    const url = await serve((request, answer) => {
      if (isStream(request)) answer.writeHead(503).end('{}')
      else answer.end(JSON.stringify({ state: states.shift(), rows }))
    })
    const progress = new Progress(new PassThrough() as never)
    const ended = await followBatch({ url, path: '/batches/a' }, 1, progress, never)
    expect(ended).toMatchObject({ state: 'succeeded' })
    expect(states).toEqual([])
  })

  it('is not asked for its events before it says', async () => {
    const asked: number[] = []
    const url = await serve((_, answer) => {
      asked.push(performance.now())
      answer.writeHead(503, { 'retry-after': '1' }).end('{}')
    })
    for await (const told of batchEvents(url, '/batches', never)) {
      expect(told.kind).toBe('lost')
      if (asked.length === 2) break
    }
    expect(asked[1]! - asked[0]!).toBeGreaterThan(950)
  })
})

describe('an API', () => {
  it('cannot write into the terminal what it likes', async () => {
    const detail = 'no \x1b[2J screen'
    const url = await serve((_, answer) => void answer.writeHead(400).end(JSON.stringify({ detail })))
    await expect(readApi(url, '/batches')).rejects.toThrow('answers 400: no \\u{1b}[2J screen')
  })
})

describe('HttpSender', () => {
  it('says once that it waits for an API which is not ready', async () => {
    const answers = [503, 503, 503, 404]
    const url = await serve(
      (_, answer) => void answer.writeHead(answers.shift()!).end('{"title":"x","code":"not_seen_yet"}'),
    )
    const said: string[] = []
    const options = { url, relativeDeadline: false, seconds: 60, say: (text: string) => said.push(text) }
    await new HttpSender(options, { batchId: 'a' }).reach(never)
    expect(said).toEqual([`The API at ${url} answers 503: x; trying again`])
    expect(answers).toEqual([])
  })
})
