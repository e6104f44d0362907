import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type WorkerSeconds } from '@rates/core/bottleneck'
import { bottleneckSchema } from './bottleneck-schema.ts'
import { type BottleneckView } from './bottleneck.ts'
import { startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
})
afterAll(() => api.close())
afterEach(async () => {
  await api.pool.query('delete from workers; delete from backlog; delete from batch_chunks; delete from batches')
})

/** Asked for the second time within a second it has the same answer: the next moment is awaited. */
const read = async (): Promise<BottleneckView> => {
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  const { status, body } = await api.get('/bottleneck')
  expect(status).toBe(200)
  return bottleneckSchema.parse(body)
}

const page = async (headers: Record<string, string> = { accept: 'text/html,*/*;q=0.8' }) => {
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  return fetch(`${api.url}/bottleneck`, { headers })
}

/** A worker's counters after so many seconds, of which it spent a part on one thing and waited for work in the rest. */
const counters = (seconds: number, part: number, on: 'db_lock' | 'db'): WorkerSeconds => ({
  fetch: { busy: 0, idle: seconds * 2, blocked: {} },
  decode: { busy: 0, idle: seconds * (1 - part), blocked: { downstream: seconds * part } },
  copy: { busy: 0, idle: seconds * (1 - part), blocked: { [on]: seconds * part } },
  publish: { busy: 0, idle: seconds, blocked: {} },
})

async function seedWorker(name: string, part: number, on: 'db_lock' | 'db' = 'db_lock'): Promise<void> {
  await api.pool.query(
    `insert into workers (name, version, started_at, seen_at)
     values ($1, '1.2.3', clock_timestamp() - interval '1 hour', clock_timestamp())`,
    [name],
  )
  for (let ago = 120; ago >= 0; ago -= 5) {
    await api.pool.query(
      `insert into worker_stages (worker, at, seconds) values ($1, clock_timestamp() - make_interval(secs => $2), $3)`,
      [name, ago, counters(1000 - ago, part, on)],
    )
  }
}

describe('GET /bottleneck', () => {
  it('knows nothing where no worker has written anything', async () => {
    const view = await read()
    expect(view).toMatchObject({ verdict: null, reporting: 0, workers: [], oldest: null, earliestDeadline: null })
    expect(view).toMatchObject({ backlog: null, openBatches: 0 })
    const html = await (await page()).text()
    expect(html).toContain('No worker has told')
  })

  it('names stage and cause, from what the workers wrote', async () => {
    await seedWorker('ingest-1', 0.9)
    await seedWorker('ingest-2', 0.7)
    const { verdict, stages, reporting, workers, at } = await read()
    expect(verdict).toMatchObject({ stage: 'copy', cause: 'db_lock', score: expect.closeTo(0.8, 2) })
    expect(Date.parse(at) - Date.parse(verdict!.since)).toBeGreaterThan(60_000)
    expect(reporting).toBe(2)
    const copy = stages.find(({ stage }) => stage === 'copy')!
    expect(copy).toMatchObject({ busy: 0, idle: expect.closeTo(0.2, 2), blocked: { db_lock: expect.closeTo(0.8, 2) } })
    expect(stages.find(({ stage }) => stage === 'decode')!.blocked.downstream).toBeCloseTo(0.8, 2)
    expect(workers).toMatchObject([{ name: 'ingest-1', version: '1.2.3', endedAt: null }, { name: 'ingest-2' }])
  })

  it('tells what becomes of the workers', async () => {
    await api.pool.query(`insert into workers (name, version, started_at, seen_at, ended_at, drain_seconds) values
      ('a', '1', now() - interval '1 h', now(), null, null), ('b', '1', now() - interval '1 h', now(), null, 4),
      ('c', '1', now() - interval '1 h', now() - interval '40 s', null, null),
      ('d', '1', now() - interval '1 h', now() - interval '30 s', now() - interval '30 s', 2.5),
      ('e', '1', now() - interval '1 h', now() - interval '11 min', null, null)`)
    const html = await (await page()).text()
    const states = [...html.matchAll(/<th scope="row">(\w)<\/th><td>1<\/td><td>([^<]*)/g)].map(([, ...each]) => each)
    expect(states).toEqual([
      ['a', 'runs for 60 min'],
      ['b', expect.stringMatching(/^draining for (\d|1\d)\.\d s$/)],
      ['c', expect.stringMatching(/^silent for [45]\d s$/)],
      ['d', expect.stringMatching(/^ended [34]\d s ago, drained in 2.5 s$/)],
    ])
  })

  it('names none where workers wait for work', async () => {
    await seedWorker('ingest-1', 0.2)
    expect(await read()).toMatchObject({ verdict: null, reporting: 1 })
    expect(await (await page()).text()).toContain('No bottleneck')
  })

  it('tells backlog, drain time, the oldest batch and the nearest deadline of the ledger', async () => {
    const batch = async (id: string, state: string, more: Record<string, unknown>): Promise<bigint> => {
      const columns = { id, state, ...more }
      const names = Object.keys(columns)
      const { rows } = await api.pool.query<{ no: bigint }>(
        `insert into batches (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning no`,
        Object.values(columns),
      )
      return rows[0]!.no
    }
    const chunk = (no: bigint, index: number, total: number, secondsAgo: number): Promise<unknown> =>
      api.pool.query(
        `insert into batch_chunks (batch_no, chunk, total, rows, rejected, sha256, digest, topic, partition, record_offset,
           record_time, bytes, worker, peak_memory, taken_at, stored_at)
         values ($1, $2, $3, 3000, 0, '', decode(repeat('00', 16), 'hex'), 't', 0, 0, now(), 1, 'w', 1, now(),
           clock_timestamp() - make_interval(secs => $4))`,
        [no, index, total, secondsAgo],
      )
    const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000)
    const loading = await batch('loading', 'open', { created_at: ago(600), deadline: ago(-90) })
    await chunk(loading, 0, 4, 300)
    await chunk(loading, 1, 4, 10)
    await batch('later', 'open', { created_at: ago(60), deadline: ago(-900) })
    const ended = { finished_at: ago(20), rows_accepted: 6000, rows_rejected: 0 }
    const done = await batch('done', 'succeeded', { ...ended, chunks_expected: 2 })
    await chunk(done, 0, 2, 100)
    await chunk(done, 1, 2, 30)
    await batch('small', 'succeeded', { ...ended, chunks_expected: 1, rows_accepted: 600 })
    await batch('long ago'.replace(' ', '-'), 'succeeded', { ...ended, finished_at: ago(90), chunks_expected: 1 })
    const waits = (age: string): Promise<unknown> =>
      api.pool.query(
        `insert into backlog (at, records, rows, oldest_seconds) values (now() - $1::interval, 3, 13200, 7.5)
        on conflict (single) do update set at = excluded.at`,
        [age],
      )
    await waits('5 s')
    const { backlog, openBatches, oldest, earliestDeadline, stages } = await read()
    const rate = (name: string): number | null => stages.find(({ stage }) => stage === name)!.rowsPerSecond
    expect(rate('publish')).toBe(6600 / 60)
    expect(rate('copy')).toBe((3000 + 3000 + 600) / 60)
    expect(rate('decode')).toBeNull()
    expect(openBatches).toBe(2)
    expect(backlog).toEqual({ records: 3, rows: 13_200, oldestSeconds: 7.5, drainSeconds: 120 })
    expect(oldest).toMatchObject({ id: 'loading', ageSeconds: expect.closeTo(601, -1) })
    expect(earliestDeadline).toMatchObject({ id: 'loading', slackSeconds: expect.closeTo(89, -1) })
    const html = await (await page()).text()
    for (const text of [
      '13\u202f200 rows',
      '3 records, for 7.5 s',
      '<dd>2 min</dd>',
      '<div class="alarm"><dt>earliest',
    ])
      expect(html).toContain(text)
    await waits('40 s') // whoever told it is gone
    expect((await read()).backlog).toBeNull()
  })

  it('is a page for browsers that runs nothing but its own script and asks no other host', async () => {
    await seedWorker('<b>bold</b>', 0.9, 'db')
    const answer = await page()
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = answer.headers.get('content-security-policy')
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^;]+'; script-src 'sha256-[^;]+'; connect-src 'self'/,
    )
    const html = await answer.text()
    expect(html).toContain('<h1>copy: <span class="cause">db</span></h1>')
    expect(html).toContain('&lt;b&gt;bold&lt;/b&gt;')
    expect(html).not.toContain('<b>')
    expect(html).not.toMatch(/ style=| on\w+=|https?:/)
  })

  it('is JSON for programs, and for whoever says so', async () => {
    expect((await page({ accept: 'application/json' })).headers.get('content-type')).toMatch(/json/)
    const asked = await fetch(`${api.url}/bottleneck?format=html`)
    expect(asked.headers.get('content-type')).toMatch(/html/)
    expect((await api.get('/bottleneck?format=xml')).status).toBe(400)
  })
})
