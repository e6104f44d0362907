import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type NestFastifyApplication } from '@nestjs/platform-fastify'
import { createLogger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { createPool } from '@rates/service/postgres'
import { createApp } from './app.module.ts'
import { readSettings } from './config.ts'
import { Ledger, ledgerSource } from './ledger.ts'
import { SharedProducer } from './shared-producer.ts'

// No database is asked: the routes and their description are made without one.
const url = 'postgres://nobody@127.0.0.1:1/none'
const served: string[] = []
let app: NestFastifyApplication
let close: () => void

beforeAll(async () => {
  const log = createLogger('rates-api', 'fatal')
  const metrics = createMetrics({ version: 'test' })
  close = metrics.close
  app = await createApp({
    settings: readSettings({ DATABASE_URL: url, KAFKA_BROKERS: '127.0.0.1:1', BUILD_VERSION: '1.2.3' }),
    log,
    registry: metrics.registry,
    pool: createPool(url, { name: 'test', max: 1, log }),
    ledger: new Ledger(ledgerSource(url, 1), { publicUrl: '', logTemplate: undefined }),
    producer: new SharedProducer({ brokers: ['127.0.0.1:1'], clientId: 'test', log }),
    stopping: new AbortController().signal,
    draining: () => false,
    onRoute: (method, path) => served.push(`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`),
  })
})
afterAll(async () => {
  await app.close()
  close()
})

type Document = {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, object>>
  components: object
}
const document = async (): Promise<Document> => (await app.inject('/openapi.json')).json()

/** The document itself, and pages for people. */
const about = [
  ...['GET /openapi.json', 'GET /docs', 'GET /docs/{file}'],
  ...['GET /upload', 'GET /explore', 'GET /page/{file}'],
]

describe('the OpenAPI document', () => {
  it('describes every route that is served, and no other', async () => {
    const { paths } = await document()
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const routes = served.filter((route) => !route.startsWith('HEAD ') && !about.includes(route))
    expect(described.sort()).toEqual(routes.sort())
    expect(described.length).toBeGreaterThan(5)
  })

  it('refers to nothing that is not in it', async () => {
    const all = await document()
    const text = JSON.stringify(all)
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!)
    expect(new Set(references)).toContain('#/components/schemas/Batch')
    for (const reference of references) {
      const parts = reference.replace(/^#\//, '').split('/')
      const found = parts.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], all)
      expect({ reference, found: typeof found }).toEqual({ reference, found: 'object' })
    }
  })

  it('says which version it is of', async () => {
    expect(await document()).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } })
  })

  it('has a page that asks no other host for anything', async () => {
    const page = (await app.inject('/docs')).body
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
    expect(files.length).toBeGreaterThan(2)
    for (const file of files) {
      expect(file).toMatch(/^docs\//)
      expect((await app.inject(`/${file}`)).statusCode).toBe(200)
    }
    const missing = await app.inject('/docs/package.json')
    expect([missing.statusCode, missing.headers['content-type']]).toEqual([404, expect.stringMatching(/problem\+json/)])
  })
})
