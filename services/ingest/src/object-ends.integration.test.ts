import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { createLogger } from '@rates/service/log'
import { openBatch } from '@rates/service/ledger/open'
import { withTransaction } from '@rates/service/postgres'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { waitingFor } from '@rates/testing/lock-waits'
import { readMetrics, sum } from '@rates/testing/metrics-text'
import { Registry } from 'prom-client'
import { ObjectEnds } from './object-ends.ts'
import { failLoad } from './object-fail.ts'
import { LoadRun, type LoadDeps } from './object-load.ts'
import { ObjectLoads } from './object-loads.ts'
import { objectMetrics } from './object-metrics.ts'
import { startTestWorker } from './test-worker.ts'

// Rows of object_loads, as loaders and the leader work with them: no store is asked.

let line: Line
let loads: ObjectLoads
let replies: ReplySettings

beforeAll(async () => {
  line = await startLine({ partitions: 1 })
  loads = new ObjectLoads(line.pool, ['prices'])
  replies = { replies: line.topics.replies, allowed: [line.topics.replies], webhooks: null }
})
afterAll(() => line?.close())
beforeEach(() => line.pool.query('truncate object_loads'))

let asked = 0

/** A request with its batch, or one of a notification, which has none yet. */
async function ask({ bound = true, bucket = 'prices', more = '' } = {}): Promise<{ no: bigint; id: string }> {
  const id = `asked-${++asked}`
  return withTransaction(line.pool, async (client) => {
    const batch = bound ? (await openBatch(client, { batchId: id }, null, new Date())).batch.no : null
    const { rows } = await client.query<{ no: bigint }>(
      `insert into object_loads (place, origin, requested_at, batch_no, bucket, object_key, headers)
       values ($1, $2, clock_timestamp(), $3, $4, $1, $5) returning no`,
      [id, bound ? 'claim' : 'event', batch, bucket, bound ? { batchId: id } : {}],
    )
    const { no } = rows[0]!
    if (more) await client.query(`update object_loads set ${more} where no = $1`, [no])
    return { no, id }
  })
}

async function rowOf(no: bigint): Promise<Record<string, unknown>> {
  const { rows } = await line.pool.query<Record<string, unknown>>(
    `select state, attempts, waits, note, quarantined, leased_by as "leasedBy", refused_since is not null as refused,
       foreign_since is not null as "isForeign", tag_at is not null as "toTag" from object_loads where no = $1`,
    [no],
  )
  return rows[0]!
}

async function stateOf(id: string): Promise<{ state: string; code: string | null } | undefined> {
  const { rows } = await line.pool.query<{ state: string; code: string | null }>(
    `select state, error ->> 'code' as code from batches where id = $1`,
    [id],
  )
  return rows[0]
}

const take = (holder: string) => loads.take(holder)
const error = { code: 'object_refused', message: 'refused' } as const

describe('a load', () => {
  it('that is failed gets its batch in the same transaction: whatever comes between, none is left open', async () => {
    const { no, id } = await ask({ bound: false })
    await take('a')
    await line.pool.query(`create function fault() returns trigger language plpgsql as $$
      begin raise exception 'it broke in between'; end $$`)
    await line.pool.query(`create trigger fault before update on batches for each row execute function fault()`)
    const failing = () => failLoad(line.pool, { no, holder: 'a' }, error, { replies })
    await expect(failing())
      .rejects.toThrow('it broke in between')
      .finally(async () => {
        await line.pool.query('drop trigger fault on batches')
        await line.pool.query('drop function fault()')
      })
    expect(await stateOf(id)).toBeUndefined()
    expect(await rowOf(no)).toMatchObject({ state: 'loading', leasedBy: 'a' })
    expect(await failing()).toMatchObject({ kind: 'failed', error })
    expect(await stateOf(id)).toEqual({ state: 'failed', code: 'object_refused' })
  })

  it('is failed by nobody who has lost it', async () => {
    const { no, id } = await ask({ bound: false })
    await take('a')
    for (const holder of ['b', null]) {
      expect(await failLoad(line.pool, { no, holder }, error, { replies })).toEqual({ kind: 'repeat' })
    }
    expect(await stateOf(id)).toBeUndefined()
  })

  it('whose batch had ended is not quarantined', async () => {
    const { no, id } = await ask()
    await take('a')
    await line.pool.query(`update batches set state = 'cancelled', finished_at = now() where id = $1`, [id])
    expect(await failLoad(line.pool, { no, holder: 'a' }, error, { replies }, true)).toEqual({ kind: 'repeat' })
    expect(await rowOf(no)).toMatchObject({ quarantined: false })
  })

  it('that gets on is not what ended the loaders before', async () => {
    const { no } = await ask({ more: 'attempts = 2, waits = 5, chunks_sent = 3' })
    await take('a')
    await loads.renew(no, 'a', { chunks: 3, rows: 0, bytes: 1 })
    expect(await rowOf(no)).toMatchObject({ attempts: 3, waits: 5 })
    await loads.renew(no, 'a', { chunks: 4, rows: 0, bytes: 1 })
    expect(await rowOf(no)).toMatchObject({ attempts: 1, waits: 0 })
    await line.pool.query('update object_loads set attempts = 3, waits = 5')
    await loads.leave(no, 'a', { came: false, seconds: 0, note: null, chunks: 5 })
    expect(await rowOf(no)).toMatchObject({ attempts: 1, waits: 0 })
  })

  it('is refused until bytes of it came', async () => {
    const { no } = await ask({ more: `refused_since = now(), note = 'refused'` })
    await take('a')
    const version = { etag: 'e', size: 9 }
    expect(await loads.pin(no, 'a', version)).toBe(true)
    await loads.renew(no, 'a', { chunks: 0, rows: 0, bytes: 0 })
    expect(await rowOf(no)).toMatchObject({ refused: true, note: 'refused' })
    await loads.renew(no, 'a', { chunks: 0, rows: 0, bytes: 1 })
    expect(await rowOf(no)).toMatchObject({ refused: false, note: null })
    expect(await loads.pin(no, 'a', version)).toBe(true)
    expect(await loads.pin(no, 'a', { ...version, etag: 'other' })).toBe(false)
    expect(await loads.pin(no, 'b', version)).toBe(false)
  })

  it('that cannot even be failed is set aside without its batch, in the end', async () => {
    const { no, id } = await ask({ bound: false, more: 'attempts = 5' })
    await line.pool.query(`create function fault() returns trigger language plpgsql as $$
      begin raise exception 'it breaks'; end $$`)
    await line.pool.query(`create trigger fault before insert on batches for each row execute function fault()`)
    try {
      const metrics = objectMetrics(new Registry())
      const deps = {
        loads,
        metrics,
        replies,
        refusedSeconds: 60,
        log: createLogger('test', 'silent'),
      } as Partial<LoadDeps>
      const run = async (holder: string): Promise<void> => {
        const load = (await take(holder))!
        await new LoadRun(deps as LoadDeps, load, holder, new AbortController().signal).run()
      }
      await run('a')
      expect(await rowOf(no)).toMatchObject({ state: 'waiting', attempts: 6, note: 'it breaks', quarantined: false })
      await line.pool.query('update object_loads set next_at = now()')
      await run('b')
      expect(await rowOf(no)).toMatchObject({ state: 'ended', quarantined: true, leasedBy: null, toTag: false })
      expect(await stateOf(id)).toBeUndefined()
      expect((await metrics.loads.get()).values).toContainEqual({ labels: { outcome: 'quarantined' }, value: 1 })
    } finally {
      await line.pool.query('drop trigger fault on batches')
      await line.pool.query('drop function fault()')
    }
  })
})

describe('whoever leads', () => {
  it('ends what ended, and two who do are counted once', async () => {
    const all = await Promise.all([ask(), ask({ more: `state = 'sent'` }), ask()])
    const [first, second] = [all[0]!, all[1]!]
    await line.pool.query(`update batches set state = 'cancelled', finished_at = now() where id = any($1)`, [
      [first.id, second.id],
    ])
    const ends = new ObjectEnds(line.pool, [], replies)
    const [outcomes] = await Promise.all([
      withTransaction(line.pool, async (client) => {
        await client.query('select from object_loads for update')
        const ending = Promise.all([ends.end(), ends.end()])
        await waitingFor(line.pool, 'with over', 2)
        return { ending }
      }),
    ])
    expect((await outcomes.ending).flat()).toEqual(['cancelled', 'cancelled'])
    // Whoever has their bucket tags them.
    expect(await rowOf(first.no)).toMatchObject({ state: 'ended', toTag: true })
    expect(await rowOf(all[2]!.no)).toMatchObject({ state: 'waiting' })
  })

  it('fails what nobody may load, ten minutes after that was seen, however old it is', async () => {
    const { no, id } = await ask({ bucket: 'foreign', more: `created_at = now() - interval '1 day'` })
    const [ours, theirs] = [new ObjectEnds(line.pool, ['foreign'], replies), new ObjectEnds(line.pool, [], replies)]
    expect(await theirs.failForeign()).toEqual([])
    expect(await rowOf(no)).toMatchObject({ state: 'waiting', isForeign: true })
    await line.pool.query(`update object_loads set foreign_since = now() - interval '11 minutes'`)
    await ours.claimOurs()
    expect(await rowOf(no)).toMatchObject({ isForeign: false })
    expect(await theirs.failForeign()).toEqual([])
    await line.pool.query(`update object_loads set foreign_since = now() - interval '11 minutes'`)
    expect(await ours.failForeign()).toEqual([])
    expect(await theirs.failForeign()).toMatchObject([{ kind: 'failed', batch: { id } }])
    expect(await stateOf(id)).toEqual({ state: 'failed', code: 'bucket_not_allowed' })
    expect(await theirs.end()).toEqual(['failed'])
    expect(await rowOf(no)).toMatchObject({ state: 'ended', toTag: false, isForeign: false })
  })

  it('need not load any itself', async () => {
    const [cancelled, foreign] = [await ask(), await ask({ bound: false })]
    await line.pool.query(`update batches set state = 'cancelled', finished_at = now() where id = $1`, [cancelled.id])
    await line.pool.query(`update object_loads set foreign_since = now() - interval '11 minutes' where no = $1`, [
      foreign.no,
    ])
    const worker = await startTestWorker(line)
    await eventually(async () => (await rowOf(cancelled.no))['state'] === 'ended', { within: 20_000 })
    await eventually(async () => (await rowOf(foreign.no))['state'] === 'ended', { within: 20_000 })
    expect(await line.reply(foreign.id)).toMatchObject({ error: { code: 'bucket_not_allowed' } })
    const samples = await readMetrics(`http://127.0.0.1:${worker.managementPort}/metrics`)
    expect(sum(samples, 'rates_object_loads_waiting')).toBe(0)
    await worker.stop()
  })
})
