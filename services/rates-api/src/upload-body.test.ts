import { once } from 'node:events'
import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, type Socket } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, describe, expect, it } from '@jest/globals'
import { discardRest, readBody, readBytes, type BodyLimits, type Encoding } from './upload-body.ts'

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A server that reads bodies as `read` does, and the URL to send them to. */
async function serve(read: (request: IncomingMessage) => Promise<string>): Promise<string> {
  server = createServer((request, response) => {
    read(request)
      .catch((error: Error) => {
        discardRest(request)
        return error.message
      })
      .then(
        (text) => response.end(text),
        () => undefined,
      )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const limits: BodyLimits = { maxBytes: 1 << 20, idleMs: 200 }
async function all(
  request: IncomingMessage,
  encoding: Encoding = 'identity',
  signal = new AbortController().signal,
): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of readBody(request, encoding, limits, signal)) pieces.push(piece)
  return String(Buffer.concat(pieces).length)
}
const send = async (url: string, body: Uint8Array): Promise<string> =>
  (await fetch(url, { method: 'POST', body: body as Uint8Array<ArrayBuffer> })).text()

describe('the body of an upload', () => {
  it('is read to its end', async () => {
    const url = await serve((request) => all(request))
    for (const size of [0, 1, 65_536, 1_000_000]) expect(await send(url, Buffer.alloc(size))).toBe(String(size))
  })

  it('is decompressed', async () => {
    const url = await serve((request) => all(request, 'gzip'))
    expect(await send(url, gzipSync(Buffer.alloc(1_000_000)))).toBe('1000000')
  })

  it.each([
    ['members of gzip', 'gzip', gzipSync],
    ['frames of zstd', 'zstd', zstdCompressSync],
  ] as const)('may be several %s: none is lost', async (_, encoding, encode) => {
    const parts = ['a', 'b', 'c'].map((letter) => encode(Buffer.alloc(1000, letter)))
    const url = await serve((request) => all(request, encoding))
    expect(await send(url, Buffer.concat(parts))).toBe('3000')
  })

  it.each<[string, Encoding, Buffer, string]>([
    ['is not what it says', 'zstd', gzipSync('x'), 'it is no whole zstd: it begins with 1f 8b 08 00.'],
    ['breaks off', 'gzip', gzipSync('x').subarray(0, -4), 'it is no whole gzip: it ends in the middle.'],
    [
      'goes on after its end',
      'gzip',
      Buffer.concat([gzipSync('x'), Buffer.from('and more')]),
      'or after its end, is no gzip.',
    ],
    [
      'is compressed twice',
      'gzip',
      gzipSync(gzipSync('x')),
      'what is left after gzip is gzip still; a body is compressed once.',
    ],
    [
      'does not say that it is compressed',
      'identity',
      gzipSync('x'),
      'the body is gzip, and there is no content-encoding: gzip.',
    ],
  ])('that %s is refused, and told why', async (_, encoding, body, reason) => {
    const url = await serve((request) => all(request, encoding))
    const answer = await send(url, body)
    expect(answer).toMatch(/^The content cannot be read: /)
    expect(answer.endsWith(reason)).toBe(true)
  })

  it('may become 16 MiB, then 200 times what came: a bomb is refused before it fills anything', async () => {
    const large = { ...limits, maxBytes: 1 << 30 }
    const sizes: number[] = []
    const url = await serve(async (request) => {
      let size = 0
      for await (const piece of readBody(request, 'zstd', large, new AbortController().signal)) {
        size += piece.length
        sizes.push(size)
      }
      return String(size)
    })
    expect(await send(url, zstdCompressSync(Buffer.alloc(16 << 20)))).toBe(String(16 << 20))
    const bomb = zstdCompressSync(Buffer.alloc(256 << 20))
    const before = process.memoryUsage().rss
    expect(await send(url, bomb)).toBe('The content is more than 200 times as large as what was sent.')
    expect(sizes.at(-1)).toBeLessThanOrEqual(16 << 20)
    expect(process.memoryUsage().rss - before).toBeLessThan(40 << 20)
  })

  it('is not read faster than it is taken', async () => {
    let read = 0
    const url = await serve(async (request) => {
      for await (const piece of readBody(request, 'identity', limits, new AbortController().signal)) {
        read += piece.length
        await new Promise((resolve) => setTimeout(resolve, 400)) // longer than a caller may be silent
        break
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      return `stopped after ${read}`
    })
    const request = httpRequest(url, { method: 'POST' })
    request.on('error', () => undefined)
    const pump = (): void => {
      while (request.write(Buffer.alloc(65_536)));
      request.once('drain', pump)
    }
    pump()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const [text] = (await once(response.setEncoding('utf8'), 'data')) as [string]
    expect(text).toBe(`stopped after ${read}`)
    expect(read).toBeLessThanOrEqual(65_536)
    request.destroy()
  })

  it('ends with a problem where nothing comes, and the answer is read', async () => {
    const url = await serve((request) => all(request))
    const request = httpRequest(url, { method: 'POST' })
    request.write('x')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect((await once(response.setEncoding('utf8'), 'data'))[0]).toBe('Nothing came for 0.2 seconds.')
    request.destroy()
  })

  it('that is taken as a whole may not trickle for ever', async () => {
    const url = await serve(async (request) =>
      String(
        (await readBytes(request, { maxBytes: 1 << 20, idleMs: 60_000, wholeMs: 300 }, new AbortController().signal))
          .length,
      ),
    )
    expect(await send(url, Buffer.alloc(1_000))).toBe('1000')
    const request = httpRequest(url, { method: 'POST' })
    const trickle = setInterval(() => request.write('x'), 20)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    clearInterval(trickle)
    expect((await once(response.setEncoding('utf8'), 'data'))[0]).toBe('The content took longer than 0.3 seconds.')
    request.destroy()
  })

  it('ends with a problem where the connection breaks', async () => {
    const ended = Promise.withResolvers<string>()
    const url = await serve((request) => all(request).catch((error: Error) => (ended.resolve(error.message), '')))
    const request = httpRequest(url, { method: 'POST' })
    request.on('error', () => undefined)
    request.write('x')
    await once(server!, 'request')
    request.destroy()
    expect(await ended.promise).toBe('The connection broke before the end of the content.')
  })

  it('ends with the reason of its signal', async () => {
    const url = await serve((request) => all(request, 'identity', AbortSignal.abort(new Error('no more'))))
    expect(await send(url, Buffer.alloc(1))).toBe('no more')
  })

  it('that is refused is still taken in, so that its caller gets to the answer', async () => {
    const url = await serve((request) => all(request))
    expect(await send(url, Buffer.alloc(20 << 20))).toBe('The content has more than 1048576 bytes.')
  })

  it('that is refused again and again leaves one listener on its connection', async () => {
    const sockets: Socket[] = []
    const url = await serve((request) => {
      sockets.push(request.socket)
      return all(request, 'identity', AbortSignal.abort(new Error('no more')))
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const listeners: number[] = []
    for (let i = 0; i < 12; i++) {
      const request = httpRequest(url, { method: 'POST', agent })
      request.write('x')
      request.end(Buffer.alloc(100_000))
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      await once(response.resume(), 'end')
      listeners.push(sockets[i]!.listenerCount('close'))
    }
    agent.destroy()
    expect(new Set(sockets).size).toBe(1)
    expect(new Set(listeners).size).toBe(1)
  })
})
