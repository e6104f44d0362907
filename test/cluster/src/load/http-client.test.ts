import { afterEach, describe, expect, it } from '@jest/globals'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { ask, keepAlive } from './http-client.ts'
import { outcomeOf } from './outcomes.ts'

let server: Server
const agent = keepAlive(1)
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const sent = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  outcomeOf(Date.now(), async () => void (await ask(url, agent, { method, path: '/', headers })))

describe('a request of the load', () => {
  it('is sent again where the service asks for it, and is counted', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      if (++requests > 2) return void response.end('{}')
      response.writeHead(503, { 'retry-after': '0' }).end('stopping')
    })
    expect(await sent(url)).toMatchObject({ retries: 2, retried: '503 stopping' })
  })

  it('fails at once on any other answer', async () => {
    const url = await serve((_, response) => void response.writeHead(503).end('no'))
    expect(await sent(url)).toMatchObject({ retries: 0, failed: '503 no' })
  })

  it('fails at once where a new connection breaks, or an answer half way', async () => {
    const url = await serve((request) => void request.socket.destroy())
    expect(await sent(url)).toMatchObject({ retries: 0, failed: expect.stringContaining('ECONNRESET') })
    server.removeAllListeners('request').on('request', (_, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('12345', () => response.destroy())
    })
    expect(await sent(url)).toMatchObject({ retries: 0, failed: expect.stringContaining('broke off') })
  })

  it('is sent again where a kept-alive connection was closed, unless that may do a thing twice', async () => {
    const seen = new WeakSet<object>()
    const url = await serve((request, response) => {
      if (seen.has(request.socket)) return void request.socket.destroy()
      seen.add(request.socket)
      response.end('{}')
    })
    expect(await sent(url)).toMatchObject({ retries: 0 })
    expect(await sent(url)).toMatchObject({ retries: 1, retried: expect.stringContaining('was closed') })
    expect(await sent(url, {}, 'POST')).toMatchObject({ retries: 0, failed: expect.any(String) })
    expect(await sent(url)).toMatchObject({ retries: 0 })
    expect(await sent(url, { 'idempotency-key': '1' }, 'POST')).toMatchObject({ retries: 1 })
  })
})
