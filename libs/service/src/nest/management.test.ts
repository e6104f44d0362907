import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import { createMetrics, type Metrics } from '../metrics.ts'
import { startManagement, type Checks, type Management } from './management.module.ts'

let metrics: Metrics
let management: Management | undefined
beforeEach(() => {
  metrics = createMetrics({ version: '1.2.3' })
})
afterEach(async () => {
  await management?.close()
  management = undefined
  metrics.close()
})

const lines: Record<string, unknown>[] = []
const log = pino(
  { level: 'trace' },
  { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
)

async function start(checks: { live?: Checks; ready?: Checks; started?: Checks }): Promise<void> {
  const { registry } = metrics
  management = await startManagement({
    host: '127.0.0.1',
    port: 0,
    registry,
    live: {},
    ready: {},
    started: {},
    log,
    ...checks,
  })
}
async function get(path: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${management!.port}${path}`)
  return { status: answer.status, body: await answer.text() }
}

describe('the management port', () => {
  it('says yes when nothing fails', async () => {
    await start({ ready: { postgres: () => Promise.resolve(1) } })
    for (const path of ['/livez', '/readyz', '/startupz']) expect(await get(path)).toMatchObject({ status: 200 })
    expect(JSON.parse((await get('/readyz')).body)).toMatchObject({
      status: 'ok',
      details: { postgres: { status: 'up' } },
    })
  })

  it('says no, and why, when a check throws, rejects or does not answer', async () => {
    await start({
      ready: {
        thrown: () => {
          throw new Error('no luck')
        },
        rejected: () => Promise.reject(new Error('gone')),
        silent: () => new Promise(() => undefined),
        fine: () => undefined,
      },
    })
    const { status, body } = await get('/readyz')
    expect(status).toBe(503)
    expect(JSON.parse(body)).toMatchObject({
      error: {
        thrown: { message: 'no luck' },
        rejected: { message: 'gone' },
        silent: { message: 'no answer within 2000 ms' },
      },
      info: { fine: { status: 'up' } },
    })
    expect((await get('/livez')).status).toBe(200)
  })

  it('logs a failing check when it begins and when it ends', async () => {
    let down = true
    await start({
      ready: {
        postgres: () => {
          if (down) throw new Error('away')
        },
      },
    })
    lines.length = 0
    await get('/readyz')
    await get('/readyz')
    down = false
    await get('/readyz')
    await get('/readyz')
    const told = lines.filter((line) => line['check'] === 'postgres').map((line) => line['msg'])
    expect(told).toEqual(['health check fails', 'health check passes again'])
  })

  it('is not ready any more once it drains, but alive', async () => {
    await start({})
    management!.drain()
    const { status, body } = await get('/readyz')
    expect(status).toBe(503)
    expect(body).toContain('the process is stopping')
    expect((await get('/livez')).status).toBe(200)
  })

  it('asks what must have started until it has', async () => {
    let asked = 0
    await start({
      started: {
        migrated: () => {
          if (++asked < 2) throw new Error('2 migrations are missing')
        },
      },
    })
    expect((await get('/startupz')).status).toBe(503)
    expect((await get('/startupz')).status).toBe(200)
    expect((await get('/startupz')).status).toBe(200)
    expect(asked).toBe(2)
  })

  it('serves the metrics', async () => {
    await start({})
    const answer = await fetch(`http://127.0.0.1:${management!.port}/metrics`)
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    expect(await answer.text()).toContain('rates_build_info{version="1.2.3"')
  })

  it('closes though a prober keeps its connection, and nothing but JSON was logged', async () => {
    await start({})
    await get('/livez')
    await management!.close()
    management = undefined
    expect(lines.every((line) => typeof line['msg'] === 'string')).toBe(true)
  })
})
