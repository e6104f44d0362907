import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { createLogger } from '@rates/service/log'
import { createPool, withTransaction } from '@rates/service/postgres'
import { eventually } from '@rates/testing/eventually'
import { insertBatch } from '@rates/testing/packs'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import { startReceiver, type Receiver } from '@rates/testing/receiver'
import type pg from 'pg'
import { WebhookSender, type WebhookOutcome } from './webhook-sender.ts'
import { removeOld } from './webhooks.ts'

let database: TestDatabase
let pool: pg.Pool
let receiver: Receiver
let sender: WebhookSender
let outcomes: WebhookOutcome[]
let logged = ''

beforeAll(async () => {
  database = await createTestDatabase()
  pool = createPool(database.url, { name: 'test', max: 8, log: createLogger('test', 'silent') })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})
beforeEach(async () => {
  await pool.query('truncate batches, hidden_batches, outbox cascade')
  receiver = await startReceiver()
  outcomes = []
  logged = ''
  sender = make(receiver.url)
})
afterEach(async () => {
  receiver.release()
  await sender.stop()
  await receiver.close()
})

function make(url: string, more: { timeoutMilliseconds?: number; keys?: () => Buffer[] } = {}): WebhookSender {
  const to = new Writable({
    write(line: Buffer, _, done) {
      logged += line.toString()
      done()
    },
  })
  const settings = { url, keys: () => [], userAgent: 'rates/test', ...more }
  return new WebhookSender(pool, settings, (outcome) => outcomes.push(outcome), createLogger('test', 'info', to))
}

const replies = { replies: 'replies', allowed: [], webhooks: { publicUrl: '' } }

/** A batch that fails. */
async function fail(id: string): Promise<void> {
  const no = BigInt(await insertBatch(pool, { id, state: 'open' }))
  const error = { code: 'incomplete', message: 'for a test' } as const
  await withTransaction(pool, (client) => endEarlyIn(client, no, 'failed', error, replies))
}

interface Row {
  id: string
  attempts: number
  error: string | null
  ended: boolean
  /** Until the next attempt. */
  pause: number
}

async function rows(): Promise<Row[]> {
  const found = await pool.query<Row>(
    `select b.id, attempts, w.error, ended_at is not null as ended,
       extract(epoch from next_at - clock_timestamp())::float8 as pause
     from webhooks w join batches b on b.no = w.batch_no order by w.no`,
  )
  return found.rows
}

/** One round, and the end of what it has started. */
async function attempt(): Promise<Row[]> {
  const before = outcomes.length
  const started = await sender.runOnce()
  await eventually(() => Promise.resolve(outcomes.length >= before + started))
  return rows()
}

const due = (): Promise<unknown> => pool.query('update webhooks set next_at = now()')

describe('a webhook', () => {
  it('that is taken is noted, and not sent again', async () => {
    await fail('a')
    expect(await attempt()).toMatchObject([{ id: 'a', attempts: 1, error: null, ended: true }])
    await due()
    expect(await sender.runOnce()).toBe(0)
    expect(receiver.received).toHaveLength(1)
    expect(outcomes).toEqual(['sent'])
  })

  it('is sent again after 5 s with the same id and bytes if the receiver has a fault, and no sooner', async () => {
    await fail('a')
    receiver.answer((response) => response.writeHead(500).end('x'.repeat(100_000)))
    const [row] = await attempt()
    expect(row).toMatchObject({ attempts: 1, error: 'the receiver answered 500 Internal Server Error', ended: false })
    expect(row!.pause).toBeGreaterThan(2)
    expect(row!.pause).toBeLessThan(5)
    expect(await sender.runOnce()).toBe(0)
    receiver.release()
    await due()
    expect(await attempt()).toMatchObject([{ attempts: 2, error: null, ended: true }])
    const [first, second, ...more] = receiver.received
    expect(more).toEqual([])
    expect(second!.body).toBe(first!.body)
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
    expect(outcomes).toEqual(['failed', 'sent'])
  })

  it('waits as long as the receiver asks for', async () => {
    await fail('a')
    receiver.answer((response) => response.writeHead(429, { 'retry-after': '900' }).end())
    expect((await attempt())[0]!.pause).toBeCloseTo(900, -1)
  })

  it.each([301, 302, 307, 308])('follows no redirect (%i)', async (status) => {
    await fail('a')
    const elsewhere = await startReceiver()
    receiver.answer((response) => response.writeHead(status, { location: elsewhere.url }).end())
    expect(await attempt()).toMatchObject([{ ended: false, error: expect.stringContaining(String(status)) }])
    expect(elsewhere.received).toEqual([])
    await elsewhere.close()
  })

  it.each([400, 404, 410, 501])('is sent again after %i, too: the receiver may be mended', async (status) => {
    await fail('a')
    receiver.answer((response) => response.writeHead(status).end())
    expect(await attempt()).toMatchObject([{ attempts: 1, ended: false }])
  })

  it('fails if nobody listens, and if the receiver hangs up', async () => {
    await fail('a')
    receiver.answer((response) => response.destroy())
    expect(await attempt()).toMatchObject([{ attempts: 1, ended: false, error: 'socket hang up' }])
    const port = Number(new URL(receiver.url).port)
    await receiver.close()
    await due()
    expect(await attempt()).toMatchObject([
      { attempts: 2, ended: false, error: expect.stringContaining('ECONNREFUSED') },
    ])
    receiver = await startReceiver(port)
    await due()
    expect(await attempt()).toMatchObject([{ attempts: 3, ended: true, error: null }])
  })

  it('says why it cannot be sent where a name has several addresses', async () => {
    await fail('a')
    sender = make('http://localhost:1')
    expect(await attempt()).toMatchObject([{ ended: false, error: expect.stringContaining('ECONNREFUSED') }])
  })

  it('fails if there is no answer in time, and is taken if only the rest of it is late', async () => {
    sender = make(receiver.url, { timeoutMilliseconds: 300 })
    await fail('a')
    receiver.answer(() => undefined)
    expect(await attempt()).toMatchObject([{ attempts: 1, ended: false, error: 'no answer within 0.3 s' }])
    receiver.answer((response) => response.writeHead(200).write('to be continued'))
    await due()
    expect(await attempt()).toMatchObject([{ attempts: 2, ended: true, error: null }])
  })

  it('is given up if it fails after 3 days, and not before it was tried', async () => {
    await fail('a')
    await fail('b')
    await pool.query(`update webhooks set created_at = now() - interval '71 hours 59 minutes'`)
    receiver.answer((response) => response.writeHead(503).end())
    expect(await attempt()).toMatchObject([{ ended: false }, { ended: false }])
    await pool.query(`update webhooks set created_at = now() - interval '72 hours 1 minute', next_at = now()`)
    await pool.query(
      `update webhooks w set next_at = now() + interval '1 hour' from batches b where b.no = batch_no and id = 'b'`,
    )
    await attempt()
    await eventually(() => Promise.resolve(outcomes.length === 4))
    expect(await rows()).toMatchObject([
      { id: 'a', attempts: 2, ended: true, error: 'the receiver answered 503 Service Unavailable' },
      { id: 'b', attempts: 1, ended: false },
    ])
    expect(outcomes).toEqual(['failed', 'failed', 'failed', 'given_up'])
    expect(logged).toContain('given up after 3 days')
    receiver.release()
    await due()
    expect(await attempt()).toMatchObject([
      { attempts: 2, ended: true },
      { attempts: 2, ended: true, error: null },
    ])
    expect(receiver.received).toHaveLength(4)
  })

  it('goes nowhere unsigned because its secret cannot be read', async () => {
    const keys = (): Buffer[] => {
      throw new RangeError('WEBHOOK_SECRET_FILE is no secret')
    }
    sender = make(receiver.url, { keys })
    await fail('a')
    expect(await attempt()).toMatchObject([{ ended: false, error: 'WEBHOOK_SECRET_FILE is no secret' }])
    expect(receiver.received).toEqual([])
  })

  it('tells the logs neither the login of the URL nor its path', async () => {
    await fail('a')
    await fail('b')
    const url = receiver.url.replace('//', '//user:hush@')
    receiver.answer((response) => response.writeHead(401).end())
    sender = make(`${url}/token`)
    await attempt()
    await receiver.close()
    await due()
    await attempt()
    receiver = await startReceiver()
    expect(logged).toContain('401')
    expect(logged).toContain('ECONNREFUSED')
    expect(logged + JSON.stringify(await rows())).not.toMatch(/hush|user|token/)
  })
})

describe('webhooks', () => {
  it('of an outcome that is rolled back are none', async () => {
    const no = BigInt(await insertBatch(pool, { id: 'a', state: 'open' }))
    const error = { code: 'incomplete', message: 'for a test' } as const
    const end = withTransaction(pool, async (client) => {
      await endEarlyIn(client, no, 'failed', error, replies)
      expect((await client.query('select from webhooks')).rowCount).toBe(1)
      throw new Error('rolled back')
    })
    await expect(end).rejects.toThrow('rolled back')
    expect((await pool.query('select state from batches')).rows).toEqual([{ state: 'open' }])
    expect(await rows()).toEqual([])
    expect(await sender.runOnce()).toBe(0)
  })

  it('that the receiver is slow to take hold up no others, as long as there are fewer than four', async () => {
    receiver.answer((response, { body }) => void (body.includes('slow') || response.writeHead(200).end()))
    for (const id of ['slow-1', 'slow-2', 'slow-3']) await fail(id)
    expect(await sender.runOnce()).toBe(3)
    for (let i = 0; i < 20; i++) await fail(`fast-${i}`)
    const hurried = async (): Promise<boolean> => {
      await sender.runOnce()
      return outcomes.length === 20
    }
    await eventually(hurried, { every: 1 })
    expect((await rows()).filter(({ ended }) => !ended).map(({ id }) => id)).toEqual(['slow-1', 'slow-2', 'slow-3'])
    expect(receiver.received).toHaveLength(23)
    expect(Math.max(...receiver.received.map(({ atOnce }) => atOnce))).toBe(4)
  })

  it('are four at a time, whatever waits; the next one starts when one has ended', async () => {
    receiver.answer(() => undefined)
    for (let i = 0; i < 6; i++) await fail(`b-${i}`)
    expect(await sender.runOnce()).toBe(4)
    await eventually(() => Promise.resolve(receiver.received.length === 4))
    const next = sender.runOnce()
    receiver.release()
    expect(await next).toBeGreaterThan(0)
    await eventually(async () => (await sender.runOnce()) === 0 && outcomes.length === 6)
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(6)
  })

  it('use no connection while they are under way', async () => {
    receiver.answer(() => undefined)
    await fail('a')
    await sender.runOnce()
    await eventually(() => Promise.resolve(receiver.received.length === 1))
    const { rows: busy } = await pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and (state <> 'idle' or xact_start is not null)
         and backend_type = 'client backend'`,
    )
    expect([busy[0]!.n, pool.totalCount - pool.idleCount]).toEqual([0, 0])
  })

  it('that are under way when the process is to end are given up after 2 s, and stay due', async () => {
    receiver.answer(() => undefined)
    await fail('a')
    await sender.runOnce()
    await eventually(() => Promise.resolve(receiver.received.length === 1))
    const begun = performance.now()
    await sender.stop()
    expect(performance.now() - begun).toBeLessThan(9_000) // after 10 s it would have been given up by itself
    expect(await rows()).toMatchObject([{ attempts: 0, ended: false, error: null }])
    expect(await sender.runOnce()).toBe(0)
    sender = make(receiver.url)
    receiver.release()
    expect(await attempt()).toMatchObject([{ attempts: 1, ended: true }])
    const [first, second] = receiver.received
    expect(second).toMatchObject({ body: first!.body })
  })

  it('that were taken are not sent again because PostgreSQL was away when it was to be noted', async () => {
    await fail('a')
    const text = `create function refuse() returns trigger language plpgsql as $$ begin raise 'away'; end $$;
      create trigger refuse before update on webhooks for each row execute function refuse()`
    receiver.answer((response) => void pool.query(text).then(() => response.writeHead(200).end()))
    await sender.runOnce()
    await eventually(() => Promise.resolve(logged.includes('could not note')))
    expect(await sender.runOnce()).toBe(0)
    await pool.query('drop trigger refuse on webhooks; drop function refuse')
    await eventually(() => Promise.resolve(outcomes.length === 1))
    expect(await rows()).toMatchObject([{ attempts: 1, ended: true }])
    expect(receiver.received).toHaveLength(1)
  })

  it('that have ended go after 30 days, or with their batch; others stay', async () => {
    for (const id of ['old', 'young', 'waits', 'forgotten']) await fail(id)
    await pool.query(
      `update webhooks w set created_at = now() - interval '40 days', ended_at = case b.id
         when 'old' then now() - interval '31 days' when 'young' then now() - interval '29 days' end
       from batches b where b.no = batch_no`,
    )
    expect(await removeOld(pool)).toBe(1)
    expect(await removeOld(pool)).toBe(0)
    await pool.query(`delete from batches where id = 'forgotten'`)
    expect((await rows()).map(({ id }) => id)).toEqual(['young', 'waits'])
  })
})
