import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { isTransientOfStore, NoSuchObject, ObjectChanged, StoreFault, StoreRefused } from './object-store.ts'
import { S3ObjectStore } from './object-store-s3.ts'

// What only a store does that breaks on purpose. What a real one does: object-store.e2e.test.ts.

const SECRET = 'the-secret-of-the-store'
const place = { bucket: 'inbox', key: 'a/ü prices.csv' }
const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
const pinned = { etag: 'v1', size: content.length }

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

let server: Server
let store: S3ObjectStore
let endpoint: string
/** How the next requests are answered, each by the next of them and all others by the last. */
let answers: Answer[]
let asked: string[]
beforeEach(async () => {
  asked = []
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.headers.range ?? new URL(request.url!, endpoint).search}`.trim())
    void (answers.length > 1 ? answers.shift()! : answers[0]!)(request, response)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  store = open()
})
afterEach(() => {
  store.close()
  server.closeAllConnections()
  server.close()
})

const credentials = { accessKeyId: 'id', secretAccessKey: SECRET }
const open = (limits = {}): S3ObjectStore =>
  new S3ObjectStore({ endpoint, region: 'us-east-1', credentials }, { pauseMs: 1, ...limits })

const fromOf = (request: IncomingMessage): number => Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1])

/** The object from the byte that is asked for, in an answer that ends, breaks or stalls after `most` bytes. */
const give =
  (most = Infinity, then: 'end' | 'break' | 'stall' = 'break', etag = '"v1"'): Answer =>
  (request, response) => {
    const rest = content.subarray(fromOf(request))
    const range = `bytes ${fromOf(request)}-${content.length - 1}/${content.length}`
    response.writeHead(206, { etag, 'content-range': range, 'content-length': rest.length })
    if (rest.length <= most) return response.end(rest)
    return response.write(rest.subarray(0, most), () => {
      if (then === 'break') response.destroy()
    })
  }

const refuse =
  (status: number, code: string): Answer =>
  (request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(request.method === 'HEAD' ? undefined : `<Error><Code>${code}</Code><Message>no</Message></Error>`)
  }

const readAll = (options?: { signal?: AbortSignal; from?: number }): Promise<Buffer> =>
  buffer(store.read(place, pinned, options))

const faultOf = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => Promise.reject(new Error('it went well')),
    (error: Error) => error,
  )

describe('a reading', () => {
  it('goes on where a connection broke, and asks for the same version', async () => {
    const matches: unknown[] = []
    const noting =
      (answer: Answer): Answer =>
      (request, response) =>
        answer(request, matches.push(request.headers['if-match']) ? response : response)
    answers = [noting(give(100_000)), noting(give(0)), noting(give(150_000)), noting(give())]
    expect((await readAll()).equals(content)).toBe(true)
    expect(asked[0]).toBe('GET bytes=0-')
    expect(asked.at(-1)).toBe('GET bytes=250000-')
    expect(new Set(matches)).toEqual(new Set(['"v1"']))
  })

  it('breaks as often as it likes where bytes come in between', async () => {
    answers = [give(20_000)]
    expect((await readAll()).equals(content)).toBe(true)
    expect(asked.length).toBeGreaterThanOrEqual(15)
  })

  it('begins where it is told to', async () => {
    answers = [give()]
    expect((await readAll({ from: 299_000 })).equals(content.subarray(299_000))).toBe(true)
    expect(asked).toEqual(['GET bytes=299000-'])
    expect((await readAll({ from: content.length })).length).toBe(0)
    expect(asked).toHaveLength(1)
  })

  it('goes on where a store fell silent', async () => {
    answers = [give(100_000, 'stall'), give()]
    store = open({ idleMs: 1000 })
    expect((await readAll()).equals(content)).toBe(true)
    expect(asked).toEqual(['GET bytes=0-', 'GET bytes=100000-'])
  })

  it('whose reader pauses for longer than a connection is kept goes on, too', async () => {
    answers = [give()]
    store = open({ idleMs: 50 })
    const pieces: Buffer[] = []
    for await (const piece of store.read(place, pinned)) {
      if (pieces.push(piece) === 1) await sleep(300)
    }
    expect(Buffer.concat(pieces).equals(content)).toBe(true)
    expect(asked.length).toBeGreaterThan(1)
  })

  it('gives up where nothing comes any more, and says where', async () => {
    answers = [give(100_000), give(0)]
    const fault = await faultOf(readAll())
    expect(fault).toBeInstanceOf(StoreFault)
    expect(fault.message).toMatch(/^s3:\/\/inbox\/a\/ü prices\.csv: /)
    expect(isTransientOfStore(fault)).toBe(true)
  })

  it('gives up on a store that is silent for ever', async () => {
    answers = [give(0, 'stall')]
    store = open({ tries: 2, idleMs: 200 })
    const fault = await faultOf(readAll())
    expect(fault.message).toContain('timed out after 200 ms of inactivity')
    expect(isTransientOfStore(fault)).toBe(true)
  })

  it.each<[string, Answer]>([
    ['says so', refuse(412, 'PreconditionFailed')],
    ['passes over the condition', give(Infinity, 'end', '"v2"')],
  ])('ends with another version, where the store %s', async (_, answer) => {
    answers = [give(100_000), answer]
    const fault = await faultOf(readAll())
    expect(fault).toBeInstanceOf(ObjectChanged)
    expect(isTransientOfStore(fault)).toBe(false)
    expect(asked).toHaveLength(2)
  })

  it('takes no whole object for its rest', async () => {
    answers = [
      give(100_000),
      (_request, response) => response.writeHead(200, { etag: '"v1"', 'content-length': content.length }).end(content),
    ]
    await expect(readAll()).rejects.toThrow('the store gives no ranges')
  })

  it.each(['a body', 'an answer', 'another try'])('ends at once with its signal, in the middle of %s', async (what) => {
    const stop = new AbortController()
    const reason = new Error('stopped')
    const silent: Answer = () => setImmediate(() => stop.abort(reason))
    const stalls: Answer = (request, response) => {
      give(100_000, 'stall')(request, response)
      setTimeout(() => stop.abort(reason), 50)
    }
    const broken: Answer = (request, response) => {
      give(0)(request, response)
      setTimeout(() => stop.abort(reason), 50)
    }
    answers = [what === 'a body' ? stalls : what === 'an answer' ? silent : broken]
    store = open({ pauseMs: 60_000 })
    expect(await faultOf(readAll({ signal: stop.signal }))).toBe(reason)
  })

  it('that is left lets go of its connection', async () => {
    let isClosed: Promise<unknown> | undefined
    answers = [
      (request, response) => {
        isClosed = new Promise((resolve) => response.once('close', resolve))
        give(100_000, 'stall')(request, response)
      },
    ]
    for await (const piece of store.read(place, pinned)) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
    await isClosed
  })
})

describe('a request', () => {
  it('is repeated where the store is busy', async () => {
    const tags: Answer = (_, response) =>
      response.end(`<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`)
    answers = [refuse(503, 'SlowDown'), refuse(500, 'InternalError'), tags]
    expect(await store.tags(place)).toEqual({ a: 'b' })
    expect(asked).toHaveLength(3)
  })

  it('ends where the store never answers', async () => {
    answers = [() => undefined]
    store = open({ idleMs: 100 })
    const fault = await faultOf(store.head(place))
    expect(fault.message).toContain('timed out after 100 ms of inactivity')
    expect(isTransientOfStore(fault)).toBe(true)
    expect(asked).toHaveLength(3)
  })

  it.each<[number, string, new (...args: never[]) => Error, string, boolean]>([
    [404, 'NoSuchKey', NoSuchObject, 'there is no s3://inbox/a/ü prices.csv', false],
    [404, 'NoSuchBucket', NoSuchObject, 'there is no bucket inbox', false],
    [403, 'AccessDenied', StoreRefused, 'the store refuses s3://inbox/a/ü prices.csv: AccessDenied', false],
    [401, 'Unauthorized', StoreRefused, 'the store refuses s3://inbox/a/ü prices.csv: Unauthorized', false],
    [503, 'SlowDown', StoreFault, 's3://inbox/a/ü prices.csv: SlowDown: no (HTTP status 503)', true],
    [429, 'TooManyRequests', StoreFault, 's3://inbox/a/ü prices.csv: TooManyRequests: no (HTTP status 429)', true],
    [400, 'InvalidArgument', StoreFault, 's3://inbox/a/ü prices.csv: InvalidArgument: no (HTTP status 400)', false],
    [501, 'NotImplemented', StoreFault, 's3://inbox/a/ü prices.csv: NotImplemented: no (HTTP status 501)', false],
  ])('that is answered with %i %s is told so', async (status, code, type, message, isTransient) => {
    answers = [refuse(status, code)]
    const fault = await faultOf(store.tags(place))
    expect(fault).toBeInstanceOf(type)
    expect(fault.message).toBe(message)
    expect(isTransientOfStore(fault)).toBe(isTransient)
  })

  it.each([
    [404, NoSuchObject, 'there is no version 7 of s3://inbox/a/ü prices.csv'],
    [403, StoreRefused, 'the store refuses s3://inbox/a/ü prices.csv: 403'],
    [412, ObjectChanged, 'changed'],
  ])('for an object as it is, answered with %i and no word, is told so', async (status, type, message) => {
    answers = [refuse(status, '')]
    const fault = await faultOf(store.head(place, '7'))
    expect(fault).toBeInstanceOf(type)
    expect(fault.message).toContain(message)
    expect(JSON.stringify([fault, fault.cause, fault.stack])).not.toContain(SECRET)
  })

  it('that tells no ETag is a fault: nothing could be held on to', async () => {
    answers = [(_, response) => void response.writeHead(200, { 'content-length': '3' }).end()]
    const fault = await faultOf(store.head(place))
    expect(fault).toBeInstanceOf(StoreFault)
    expect(fault.message).toMatch(/the store tells no ETag/)
  })

  it('whose answer has no words tells its status', async () => {
    answers = [refuse(405, 'MethodNotAllowed')]
    expect(await faultOf(store.head(place, 'mark'))).toMatchObject({ isTransient: false, status: 405 })
  })

  it('to a store that is not there is worth another try', async () => {
    answers = [refuse(500, '')]
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    const fault = await faultOf(store.head(place))
    expect(fault.message).toContain('ECONNREFUSED')
    expect(isTransientOfStore(fault)).toBe(true)
  })

  it('is signed by the keys that are right now', async () => {
    const ids: (string | undefined)[] = []
    answers = [
      ({ headers }, response) => {
        ids.push(/Credential=(\w+)\//.exec(headers.authorization ?? '')?.[1])
        response.writeHead(200, { etag: '"v1"', 'content-length': 7, 'content-encoding': 'aws-chunked,gzip' }).end()
      },
    ]
    let accessKeyId = 'first'
    store = new S3ObjectStore({
      endpoint,
      region: 'us-east-1',
      credentials: () => ({ accessKeyId, secretAccessKey: SECRET }),
    })
    const head = await store.head(place)
    accessKeyId = 'second'
    await store.head(place)
    expect(ids).toEqual(['first', 'second'])
    expect(head).toEqual({ etag: 'v1', size: 7, metadata: {}, contentEncoding: 'gzip' })
  })
})

describe('what is stored', () => {
  const xml =
    (text: string): Answer =>
    async (request, response) => {
      await buffer(request)
      response.writeHead(200, { etag: '"part"' }).end(text)
    }
  const begun = xml('<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>')
  async function* zeros(parts: number, then?: Error): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < parts; i++) yield await Promise.resolve(Buffer.alloc(1 << 20))
    if (then) throw then
  }

  it('is taken back where its body breaks, whose fault is told', async () => {
    answers = [begun, xml('')]
    const fault = new Error('the sender is gone')
    expect(await faultOf(store.put(place, zeros(9, fault), { contentType: 'text/csv' }))).toBe(fault)
    expect(asked).toEqual([
      'POST ?uploads=',
      'PUT ?partNumber=1&uploadId=7&x-id=UploadPart',
      'DELETE ?uploadId=7&x-id=AbortMultipartUpload',
    ])
  })

  it('is taken back where the store fails', async () => {
    answers = [begun, refuse(507, 'NoSpace'), xml('')]
    const fault = await faultOf(store.put(place, zeros(9), { contentType: 'text/csv' }))
    expect(fault.message).toContain('NoSpace')
    expect(asked.at(-1)).toMatch(/^DELETE/)
  })

  it.each([8, 20])('is not stored where it is of another size: %i MiB', async (parts) => {
    answers = [begun, xml('')]
    const put = store.put(place, zeros(parts), { contentType: 'text/csv', size: (parts << 20) + 1 })
    await expect(put).rejects.toThrow('s3://inbox/a/ü prices.csv is not of')
    expect(asked.filter((each) => /^PUT \?x-id|^POST \?uploadId/.test(each))).toEqual([])
  })
})
