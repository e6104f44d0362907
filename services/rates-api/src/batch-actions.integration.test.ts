import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { batchSchema, problemSchema } from './schemas.ts'
import { seedCatalog, seedPrices, startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp({ REVERT_WINDOW_DAYS: '3' })
  await seedCatalog(api.pool, ['world'], ['AAAAA:world', 'BBBBB:world'])
})
afterAll(() => api.close())

async function post(path: string, init: RequestInit = {}): Promise<{ status: number; type: string; body: unknown }> {
  const answer = await fetch(api.url + path, { method: 'POST', ...init })
  return { status: answer.status, type: answer.headers.get('content-type') ?? '', body: await answer.json() }
}
async function refused(path: string): Promise<Record<string, unknown>> {
  const { status, type, body } = await post(path)
  expect(type).toContain('application/problem+json')
  const { status: told, detail, code, state, replacedBy } = problemSchema.parse(body)
  expect(told).toBe(status)
  return {
    status,
    code,
    detail,
    ...(state !== undefined && { state }),
    ...(replacedBy !== undefined && { replacedBy }),
  }
}
/** The average of a day, which all batches of a test share. */
async function priceOf(day: string): Promise<number | null> {
  const { body } = await api.get(`/rates?date_from=${day}&date_to=${day}&orig_code=AAAAA&dest_code=BBBBB`)
  return (body as { rates: { price: number | null }[] }).rates[0]!.price
}
const seed = (id: string, day: string, price: number): Promise<bigint> =>
  seedPrices(
    api.pool,
    id,
    Array.from({ length: 3 }, () => ['AAAAA', 'BBBBB', day, price] as const),
  )
/** As publication does it. */
async function replace(id: string, by: string, day: string, price: number): Promise<void> {
  const no = await seed(by, day, price)
  await api.pool.query('update batches set replaces = $2 where no = $1', [no, id])
  await api.pool.query('insert into hidden_batches select no from batches where id = $1', [id])
  await api.pool.query(`update batches set state = 'replaced', replaced_by = $2 where id = $1`, [id, by])
}
const open = (id: string, dryRun = false): Promise<unknown> =>
  api.pool.query(
    `with b as (insert into batches (id, dry_run, state) values ($1, $2, 'open') returning no)
     insert into hidden_batches select no from b`,
    [id, dryRun],
  )
const repliesOf = async (id: string): Promise<string[]> =>
  (await api.pool.query<{ reply_id: string }>('select reply_id from outbox where batch_id = $1', [id])).rows.map(
    ({ reply_id }) => reply_id,
  )

describe('POST /batches/:id/revert', () => {
  it('hides what was visible, and shows again what it had replaced', async () => {
    const day = '2021-01-01'
    await seed('first', day, 100)
    await replace('first', 'second', day, 200)
    expect(await priceOf(day)).toBe(200)
    const { status, body } = await post('/batches/second/revert')
    expect(status).toBe(200)
    expect(batchSchema.parse(body)).toMatchObject({ id: 'second', state: 'reverted', replaces: 'first' })
    expect(batchSchema.parse(body).hiddenAt).not.toBeNull()
    expect(await priceOf(day)).toBe(100)
    expect((await api.get('/batches/first')).body).toMatchObject({
      state: 'succeeded',
      replacedBy: null,
      hiddenAt: null,
    })
    // Once more: the same answer, and nothing changes.
    expect(await post('/batches/second/revert')).toMatchObject({ status: 200, body })
    expect(await priceOf(day)).toBe(100)
    // An outcome is given once: this is none.
    expect(await repliesOf('second')).toEqual([])
  })

  it('takes no body; what a form on another site could send is refused', async () => {
    await seed('bodiless', '2021-02-01', 1)
    const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' }
    expect(await post('/batches/bodiless/revert', form)).toMatchObject({ status: 415, body: { status: 415 } })
    expect((await api.get('/batches/bodiless')).body).toMatchObject({ state: 'succeeded' })
    expect(await post('/batches/bodiless/revert')).toMatchObject({ status: 200 })
  })

  it('says why it cannot, and what can be done', async () => {
    await seed('old', '2021-03-01', 1)
    await replace('old', 'new', '2021-03-01', 2)
    await seed('late', '2021-03-02', 1)
    await api.pool.query(`update batches set finished_at = '2026-01-02T03:04:05Z' where id = 'late'`)
    await open('loading')
    await open('rehearsed', true)
    await api.pool.query(`insert into batches (id, state, finished_at) values ('bad', 'failed', now())`)
    expect(await refused('/batches/nobody/revert')).toMatchObject({ status: 404, code: 'not_found' })
    expect(await refused(`/batches/${encodeURIComponent("o'clock")}/revert`)).toMatchObject({ status: 404 })
    expect(await refused('/batches/old/revert')).toEqual({
      status: 409,
      code: 'replaced',
      state: 'replaced',
      replacedBy: 'new',
      detail: 'Batch old was replaced by new: revert that one.',
    })
    expect(await refused('/batches/late/revert')).toEqual({
      status: 409,
      code: 'window_over',
      state: 'succeeded',
      detail: 'Batch late succeeded at 2026-01-02T03:04:05.000Z: only within 3 days could it be reverted.',
    })
    expect(await refused('/batches/loading/revert')).toMatchObject({ code: 'not_succeeded', state: 'pending' })
    expect(await refused('/batches/bad/revert')).toMatchObject({ code: 'not_succeeded', state: 'failed' })
    expect(await refused('/batches/rehearsed/revert')).toMatchObject({ status: 409, code: 'dry_run' })
  })
})

describe('POST /batches/:id/cancel', () => {
  it('ends what is loading, with its one reply', async () => {
    await open('going')
    const { status, body } = await post('/batches/going/cancel')
    expect(status).toBe(200)
    expect(batchSchema.parse(body)).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } })
    expect(await post('/batches/going/cancel')).toMatchObject({ status: 200, body })
    expect(await repliesOf('going')).toEqual(['going/cancelled'])
    expect(await refused('/batches/going/revert')).toMatchObject({ code: 'not_succeeded', state: 'cancelled' })
  })

  it('tells a dry run from the batch of the same id', async () => {
    await open('both')
    await open('both', true)
    expect(await post('/batches/both/cancel?dryRun=true')).toMatchObject({
      status: 200,
      body: { dryRun: true, state: 'cancelled' },
    })
    expect((await api.get('/batches/both')).body).toMatchObject({ dryRun: false, state: 'pending' })
    expect((await post('/batches/both/cancel?dryRun=maybe')).status).toBe(400)
  })

  it('is refused once it has ended', async () => {
    await seed('done', '2021-04-01', 1)
    expect(await refused('/batches/done/cancel')).toEqual({
      status: 409,
      code: 'ended',
      state: 'succeeded',
      detail: 'Batch done has ended (succeeded): it can be reverted.',
    })
    expect(await priceOf('2021-04-01')).toBe(1)
    expect(await refused('/batches/nobody/cancel')).toMatchObject({ status: 404, code: 'not_found' })
    expect(await refused('/batches/done/cancel?dryRun=true')).toMatchObject({ status: 404, code: 'not_found' })
  })
})
