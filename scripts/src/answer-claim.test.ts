import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { claimPlace, fetchClaim, readClaim } from './answer-claim.ts'

const CONTENT = Buffer.from('day,price\r\n'.repeat(10_000))
const claim = {
  url: '/claims/x',
  contentType: 'text/csv',
  bytes: CONTENT.length,
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
  expiresAt: '2999-01-01T00:00:00.000Z',
}
const never = new AbortController().signal
let server: Server
let api: string
let answer: (response: ServerResponse, path: string) => void

beforeAll(async () => {
  server = createServer((request, response) => answer(response, request.url!))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`
})
afterAll(() => void server.close())

const problem = (status: number, detail: string) => (response: ServerResponse) =>
  void response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ title: 't', detail }))

async function all(change: Partial<typeof claim> = {}, signal = never, silence?: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of fetchClaim({ ...claim, ...change }, api, signal, silence)) pieces.push(piece)
  return Buffer.concat(pieces)
}
async function failing(work: Promise<unknown>, code: number, message: string): Promise<void> {
  const error = (await work.catch((fault: unknown) => fault)) as { code: number; message: string }
  expect(error.message).toContain(message)
  expect(error.code).toBe(code)
}

describe('fetchClaim', () => {
  it('gives the content, behind the path of the API and by an address of its own', async () => {
    const paths: string[] = []
    answer = (response, path) => {
      paths.push(path)
      response.end(CONTENT)
    }
    expect((await all()).equals(CONTENT)).toBe(true) // by toEqual() it takes seconds, in which connections time out
    expect((await all({ url: `${new URL(api).origin}/elsewhere/claims/x?y=1` })).equals(CONTENT)).toBe(true)
    expect(paths).toEqual(['/base/claims/x', '/elsewhere/claims/x?y=1'])
  })

  it('takes nothing for whole that is shorter, longer, or other than was promised', async () => {
    const other = Buffer.from(CONTENT)
    other[5]! ^= 1
    for (const [sent, how] of [
      [CONTENT.subarray(1), 'it has 109 999 bytes, not 110 000'],
      [Buffer.concat([CONTENT, Buffer.from('x')]), 'it has more than 110 000 bytes'],
      [other, 'its sha256 is another'],
    ] as const) {
      answer = (response) => void response.end(sent)
      await failing(all(), 3, `not what the answer promised: ${how}`)
    }
    answer = (response) => {
      response.writeHead(200, { 'content-length': CONTENT.length })
      response.write(CONTENT.subarray(0, 5_000), () => response.destroy())
    }
    await failing(all(), 3, 'cannot be reached: ')
  })

  it('says what is the matter with a claim that is not there', async () => {
    answer = problem(410, 'The claim has expired.')
    await failing(all({ expiresAt: '2026-01-31T08:00:00Z' }), 1, 'was kept until 2026-01-31 08:00:00 UTC and is gone')
    answer = problem(404, 'There is no such claim.')
    await failing(all(), 1, 'does not know the answer that was put away')
    await failing(all({ expiresAt: '2026-01-31T08:00:00Z' }), 1, 'is gone: ask once more')
    answer = problem(503, 'PostgreSQL is away')
    await failing(all(), 3, 'answers 503: PostgreSQL is away')
    answer = (response) => void response.writeHead(404).end('nginx')
    await failing(all(), 3, 'is not the API')
  })

  it('gives up where nothing comes, and when it is told to', async () => {
    answer = (response) => void response.write('d')
    await failing(all({}, never, 50), 3, 'it sends nothing')
    const stop = new AbortController()
    answer = (response) => {
      response.write('d')
      setImmediate(() => stop.abort(new Error('enough')))
    }
    await expect(all({}, stop.signal)).rejects.toThrow('enough')
    server.closeAllConnections()
  })
})

describe('claimPlace', () => {
  it('needs an API where the address is relative', () => {
    expect(() => claimPlace(claim, undefined)).toThrow('give --url, or set RATES_URL')
    expect(claimPlace({ ...claim, url: 'https://rates.example.com/claims/x' }, undefined)).toEqual({
      url: 'https://rates.example.com',
      path: '/claims/x',
    })
  })
})

describe('readClaim', () => {
  it('takes a claim check and nothing else', () => {
    expect(readClaim(Buffer.from(JSON.stringify({ ...claim, more: 1 })))).toEqual(claim)
    for (const wrong of ['', 'null', '[]', '{}', JSON.stringify({ ...claim, bytes: '1' })]) {
      expect(() => readClaim(Buffer.from(wrong))).toThrow('a claim check that this version cannot read')
    }
  })
})
