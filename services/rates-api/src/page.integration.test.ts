import { request } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestApp, type TestApp } from './test-app.ts'

// `npm run build` has made the page, as for all that runs it.
let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
})
afterAll(() => api.close())

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** As sent: fetch() would decompress, and clean up paths. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const { hostname, port } = new URL(api.url)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

const PROBLEM: unknown = expect.stringMatching(/^application\/problem\+json/)
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const html = async (path: string): Promise<string> => String((await ask(path, BROWSER)).body)
const assets = async (): Promise<string[]> =>
  [...(await html('/')).matchAll(/(?:href|src)="(page\/[^"]+)"/g)].map(([, path]) => `/${path}`)

describe('a browser', () => {
  it.each([
    ['/', './'],
    ['/batches', './'],
    ['/batches?state=failed', './'],
    ['/batches/acme-1', '../'],
    ['/batches/acme-1?dryRun=true', '../'],
    ['/upload', './'],
    ['/explore?from=A', './'],
  ])('sees the page at %s, whose links begin at %s', async (path, base) => {
    const { status, headers, body } = await ask(path, BROWSER)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['cache-control']).toBe('no-cache')
    const text = String(body)
    expect(text).toContain(`<base href="${base}" />`)
    expect(text).not.toContain('{{')
    // Nothing within it that the policy would forbid, and nothing from elsewhere.
    expect(text).not.toMatch(/<style|style=|<script(?![^>]* src="page\/)|\son\w+=|(?:src|href)="(?:https?:)?\/\//)
  })

  it('is told to take nothing from elsewhere, and to run no text', async () => {
    const policy = String((await ask('/', BROWSER)).headers['content-security-policy'])
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(part)
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
  })

  it('sees JSON where it asks for that', async () => {
    const { status, headers } = await ask('/batches?format=json', BROWSER)
    expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
  })

  it('finds all that the page names, each under a name that never has another content', async () => {
    const named = await assets()
    expect(named.some((path) => path.endsWith('.js'))).toBe(true)
    expect(named.some((path) => path.endsWith('.css'))).toBe(true)
    for (const path of named) {
      const { status, headers, body } = await ask(path)
      expect(path).toMatch(/^\/page\/\w+-[A-Z0-9]{8}\.(js|css)$/)
      expect([status, headers['content-encoding']]).toEqual([200, undefined])
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable')
      expect(headers['content-type']).toBe(
        path.endsWith('.js') ? 'text/javascript; charset=utf-8' : 'text/css; charset=utf-8',
      )
      expect(body.length).toBeGreaterThan(1000)
    }
  })
})

describe('an asset', () => {
  it.each([
    ['br', 'br'],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate', 'gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip'],
    ['*', 'br'],
    ['deflate', undefined],
    ['identity, br;q=0, *;q=0', undefined],
    ['GZIP', 'gzip'],
  ])('for a caller that takes %j is sent as %s', async (accepts, encoding) => {
    for (const path of await assets()) {
      const { headers, body } = await ask(path, { 'accept-encoding': accepts })
      expect([headers['content-encoding'], headers['vary']]).toEqual([encoding, 'accept-encoding'])
      const plain = (await ask(path)).body
      const content = encoding === 'br' ? brotliDecompressSync(body) : encoding === 'gzip' ? gunzipSync(body) : body
      expect(content.equals(plain)).toBe(true)
      if (encoding !== undefined) expect(body.length).toBeLessThan(plain.length / 2)
    }
  })

  it.each([
    '/page/',
    '/page/index.html',
    '/page/app-00000000.js',
    '/page/..%2findex.html',
    '/page/../package.json',
    '/page/%2e%2e%2fpackage.json',
    '/page/__proto__',
    '/page/app.js%00',
    '/page/a/b.js',
  ])('of the odd name %s is not there', async (path) => {
    const { status, headers } = await ask(path, { 'accept-encoding': 'br' })
    expect([status, headers['content-type']]).toEqual([404, PROBLEM])
  })

  it('is there only with a type of its own: what was compressed is no file', async () => {
    const [script] = (await assets()).filter((path) => path.endsWith('.js'))
    expect((await ask(`${script}.br`)).status).toBe(404)
  })
})

describe('a program', () => {
  it.each([
    ['/', '*/*'],
    ['/batches', '*/*'],
    ['/batches', undefined],
    ['/batches', 'application/json'],
  ])('sees JSON at %s by the header accept: %s, and caches tell it from the page', async (path, accept) => {
    const { status, headers } = await ask(path, accept === undefined ? {} : { accept })
    expect(status).toBe(200)
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(headers['vary']).toBe('accept')
    expect(headers['content-security-policy']).toBeUndefined()
    expect((await ask(path, BROWSER)).headers['vary']).toBe('accept')
  })

  it('hears of a batch that is not there as ever', async () =>
    expect((await ask('/batches/nobody', { accept: 'application/json' })).status).toBe(404))
})

describe('a change', () => {
  const post = (headers: Record<string, string>): Promise<Answer> => ask('/batches/nobody/revert', headers, 'POST')

  it.each(['cross-site', 'same-site'])('that a page of another site asks for is refused: %s', async (site) => {
    const { status, headers, body } = await post({ 'sec-fetch-site': site })
    expect([status, headers['content-type']]).toEqual([403, PROBLEM])
    expect(JSON.parse(String(body))).toMatchObject({ status: 403, detail: expect.stringContaining('another site') })
  })

  it('that a program, a person or this page asks for is not', async () => {
    for (const headers of [{}, { 'sec-fetch-site': 'none' }, { 'sec-fetch-site': 'same-origin' }])
      expect((await post(headers)).status).toBe(404)
  })

  // Browsers send no Sec-Fetch-Site to hosts without TLS, but Origin.
  it.each([
    ['http://evil.example', {}],
    ['null', {}],
    ['file://', {}],
    ['http://rates.example:8080', { host: 'rates.example' }],
    ['http://rates.internal', { host: 'rates.internal', 'x-forwarded-host': 'rates.example' }],
  ])('that a page of the origin %s asks for is refused: %j', async (origin, headers) => {
    for (const type of [{}, { 'content-type': 'text/plain' }])
      expect((await post({ ...headers, ...type, origin })).status).toBe(403)
  })

  it.each<[string, Record<string, string>]>([
    ['http://rates.example', { host: 'rates.example' }],
    ['http://rates.example:8080', { host: 'Rates.example:8080' }],
    ['https://rates.example', { host: 'rates.example:443' }],
    ['https://rates.example', { host: 'rates.internal:8080', 'x-forwarded-host': 'rates.example, rates.internal' }],
    ['http://evil.example', { 'sec-fetch-site': 'same-origin' }],
  ])('that this page at %s asks for is not: %j', async (origin, headers) => {
    expect((await post({ ...headers, origin })).status).toBe(404)
    expect((await post({ origin: new URL(api.url).origin })).status).toBe(404)
  })

  it('is nothing that reading does, wherever the link was', async () => {
    for (const site of ['cross-site', 'same-site'])
      expect((await ask('/batches', { ...BROWSER, 'sec-fetch-site': site })).status).toBe(200)
    expect((await ask('/batches', { ...BROWSER, origin: 'http://evil.example' })).status).toBe(200)
  })
})
