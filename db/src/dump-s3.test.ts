import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { DumpRefused } from './dump-refused.ts'
import { s3Source } from './dump-s3.ts'

const CREDENTIALS = { accessKeyId: 'id', secretAccessKey: 'hush' }

/** A store of one object: as much of S3 as is asked for. */
let server: Server
let endpoint: string
let object: Buffer
let version: string
/** Bytes after which an answer breaks, one for each of the first readings. */
let breaks: number[]
let asked: string[]
let sent: number

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request
  asked.push(`${method} ${headers.range ?? ''}`.trim())
  const refuse = (status: number, code: string): void => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(method === 'HEAD' ? undefined : `<Error><Code>${code}</Code><Message>no</Message></Error>`)
  }
  if (!headers.authorization?.includes('Credential=id/')) return refuse(403, 'InvalidAccessKeyId')
  if (new URL(url!, endpoint).pathname !== '/bucket/a/dump.sql') return refuse(404, 'NoSuchKey')
  if (headers['if-match'] !== undefined && headers['if-match'] !== version) return refuse(412, 'PreconditionFailed')
  const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
  const head = { etag: version, 'content-length': object.length - from }
  response.writeHead(from > 0 || headers.range ? 206 : 200, head)
  if (method === 'HEAD') return void response.end()
  response.flushHeaders()
  void send(response, object.subarray(from), breaks.shift())
}

async function send(response: ServerResponse, bytes: Buffer, breakAt = Infinity): Promise<void> {
  const gone = once(response, 'close')
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (at >= breakAt) return void response.destroy()
    const piece = bytes.subarray(at, at + 65_536)
    const free = response.write(piece)
    sent += piece.length
    if (!free) await Promise.race([once(response, 'drain'), gone])
    if (response.destroyed) return
  }
  response.end()
}

beforeEach(async () => {
  ;[object, version, breaks, asked, sent] = [Buffer.from('a dump'), '"v1"', [], [], 0]
  server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const open = (address = 's3://bucket/a/dump.sql', credentials = CREDENTIALS) =>
  s3Source(address, { endpoint, region: 'us-east-1', credentials })

async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const list: Buffer[] = []
  for await (const piece of pieces) list.push(piece)
  return Buffer.concat(list)
}

describe('s3Source', () => {
  it('reads an object as often as it is asked to', async () => {
    const source = await open()
    expect(source.size).toBe(6)
    expect([String(await all(source.read())), String(await all(source.read()))]).toEqual(['a dump', 'a dump'])
    expect(asked).toEqual(['HEAD', 'GET bytes=0-', 'GET bytes=0-'])
  })

  it('goes on where a connection broke', async () => {
    object = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => i % 251))
    breaks = [131_072, 65_536, 0]
    expect(Buffer.compare(await all((await open()).read()), object)).toBe(0)
    expect(asked.length).toBeGreaterThanOrEqual(5)
  }, 20_000)

  it('gives up where not a byte comes any more', async () => {
    object = Buffer.alloc(200_000)
    breaks = [65_536, 0, 0, 0, 0, 0]
    await expect(all((await open()).read())).rejects.toThrow()
  }, 20_000)

  it('takes no more than its reader does', async () => {
    object = Buffer.alloc(64 << 20)
    const pieces = (await open()).read()[Symbol.asyncIterator]()
    await pieces.next()
    await sleep(300)
    expect(sent).toBeLessThan(16 << 20)
    await pieces.return!()
  })

  it('reads no other version of the object', async () => {
    const source = await open()
    version = '"v2"'
    await expect(all(source.read())).rejects.toThrow(
      new DumpRefused(null, 'the object changed while it was read; import it again'),
    )
  })

  it.each([
    ['s3://bucket/a/other', CREDENTIALS, 'there is no such object'],
    ['s3://bucket/a/dump.sql', { accessKeyId: 'other', secretAccessKey: 'hush' }, /^the store refuses it/],
    ['s3://bucket', CREDENTIALS, 'this is not of the form s3://bucket/key'],
  ])('refuses %s as %j', async (address, credentials, message) => {
    const refused = open(address, credentials)
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.toBeInstanceOf(DumpRefused)
  })
})
