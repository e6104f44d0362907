import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'

/** A request as it came. */
export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
  /** How many were here before it ended, this one included. */
  atOnce: number
}

/** Whatever takes webhooks: a real server that answers as it is told to. */
export interface Receiver {
  url: string
  /** All requests, in their order, also those that are not answered yet. */
  received: Received[]
  /** Those that tell of the batch. */
  of(batchId: string): Received[]
  /** Answers from now on; 204 until it is set. One that does nothing lets the sender wait. */
  answer(by: (response: ServerResponse, request: Received) => void): void
  /** Answers all that wait, and those to come, by 204. */
  release(): void
  close(): Promise<void>
}

/** @param port where one listened before that is away now */
export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = []
  const open = new Set<ServerResponse>()
  const take = (response: ServerResponse): void => void (response.destroyed || response.writeHead(204).end())
  let by: (response: ServerResponse, request: Received) => void = take
  const server = createServer((request, response) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.once('end', () => {
      const { url = '', headers } = request
      const seen = { path: url, headers, body: Buffer.concat(parts).toString(), atOnce: open.size }
      received.push(seen)
      by(response, seen)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    of: (batchId) => received.filter(({ body }) => (JSON.parse(body) as { batchId: string }).batchId === batchId),
    answer: (how) => void (by = how),
    release() {
      by = take
      for (const response of open) if (!response.headersSent) take(response)
    },
    async close() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
