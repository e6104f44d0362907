import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { undocumented } from '@rates/testing/metrics-docs'
import { sum } from '@rates/testing/metrics-text'
import { withTransaction } from '@rates/service/postgres'
import { zstdCompressSync } from 'node:zlib'
import { claimCheck, ClaimGone, ClaimStore, ClaimTooLarge, type Claim } from './claim-store.ts'
import { PART_BYTES } from './claim-parts.ts'
import { startTestApp, type TestApp } from './test-app.ts'
import { bodyOf, claimContent, inPieces, pausedReader, putSealed, sha256Of } from './test-claims.ts'

/** More than the buffers of a connection take, so that a reader who does not read is waited for. */
const LARGE = 20 << 20
const PROBLEM = 'application/problem+json; charset=utf-8'
const MAX_BYTES = 40 << 20

let api: TestApp
let claims: ClaimStore

beforeAll(async () => {
  api = await startTestApp({ CLAIM_HOURS: '2', CLAIM_MAX_BYTES: String(MAX_BYTES), UPLOAD_IDLE_SECONDS: '1' })
  claims = api.app.get(ClaimStore)
})
afterAll(() => api.close())

const urlOf = ({ id }: { id: string }): string => `${api.url}/claims/${id}`
const rowsOf = async (): Promise<{ claims: bigint; parts: bigint }> => {
  const count = await api.pool.query<{ claims: bigint; parts: bigint }>(
    'select (select count(*) from claims where removed_at is null) as claims, (select count(*) from claim_parts) as parts',
  )
  return count.rows[0]!
}
const reads = async (outcome: string): Promise<number> =>
  sum(await api.metrics(), 'rates_claim_reads_total', { outcome })

describe('what was put away', () => {
  it.each([
    ['of many parts', 3 * PART_BYTES + 12_345],
    ['that ends where a part does', 2 * PART_BYTES],
    ['of one byte', 1],
    ['without a byte', 0],
  ])('is read as it was put: content %s', async (_, bytes) => {
    const content = claimContent(bytes)
    const claim = await putSealed(api, content)
    expect(claim).toMatchObject({ bytes, sha256: sha256Of(content), contentType: 'text/csv' })
    const answer = await fetch(urlOf(claim))
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(content)]).toEqual([200, true])
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-length': String(bytes),
      etag: `"sha256-${claim.sha256}"`,
      'repr-digest': `sha-256=:${Buffer.from(claim.sha256, 'hex').toString('base64')}:`,
      expires: new Date(claim.expiresAt).toUTCString(),
      'cache-control': 'private, immutable',
    })
    const head = await fetch(urlOf(claim), { method: 'HEAD' })
    const without = (headers: Headers): object =>
      Object.fromEntries([...headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)))
    expect([head.status, without(head.headers)]).toEqual([200, without(answer.headers)])
  })

  it('lasts for CLAIM_HOURS by the clock of the database, from its end on', async () => {
    const clock = async (): Promise<number> =>
      (await api.pool.query<{ now: Date }>('select clock_timestamp() as now')).rows[0]!.now.getTime()
    const before = await clock()
    const claim = await claims.put(inPieces(claimContent(10)), { contentType: 'text/csv' })
    const left = claim.expiresAt.getTime() - 2 * 3_600_000
    expect([left >= before, left <= (await clock()) + 1]).toEqual([true, true])
    const check = { contentType: 'text/csv', bytes: 10, sha256: claim.sha256, expiresAt: claim.expiresAt.toISOString() }
    expect(claimCheck(claim, '')).toEqual({ url: `/claims/${claim.id}`, ...check })
    expect(claimCheck(claim, 'https://rates.example').url).toBe(`https://rates.example/claims/${claim.id}`)
  })

  it('is not sent again to who has it', async () => {
    const claim = await putSealed(api, claimContent(100))
    const etag = `"sha256-${claim.sha256}"`
    for (const method of ['GET', 'HEAD']) {
      for (const known of [etag, `"other", W/${etag}`, '*']) {
        const answer = await fetch(urlOf(claim), { method, headers: { 'if-none-match': known } })
        expect([known, answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([known, 304, etag, ''])
      }
    }
    expect((await fetch(urlOf(claim), { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  it.each([
    ['text/csv', 'text/csv; charset=utf-8'],
    ['application/json', 'application/json; charset=utf-8'],
    ['application/x-ndjson', 'application/x-ndjson'],
  ])('is served as HTTP serves its own: %s', async (contentType, served) => {
    const claim = await putSealed(api, claimContent(10), contentType)
    expect([claim.contentType, (await fetch(urlOf(claim))).headers.get('content-type')]).toEqual([contentType, served])
  })

  it("is nobody's before the transaction of its seal", async () => {
    const claim = await claims.put(inPieces(claimContent(100)), { contentType: 'text/csv' })
    const status = async (): Promise<number> => (await fetch(urlOf(claim))).status
    expect(await status()).toBe(404)
    const undone = withTransaction(api.pool, async (client) => {
      await claims.seal(client, [claim])
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    expect(await status()).toBe(404)
    await withTransaction(api.pool, async (client) => {
      await claims.seal(client, [claim])
      expect(await status()).toBe(404)
    })
    expect(await status()).toBe(200)
  })

  it.each(['x', 'A'.repeat(32), 'A'.repeat(33), '%27;drop', 'a/b'])('is not found by the id %s', async (id) => {
    const { status, type } = await api.get(`/claims/${id}`)
    expect([status, type]).toEqual([404, PROBLEM])
  })

  it('has expired when the database says so', async () => {
    const claim = await putSealed(api, claimContent(100))
    await api.pool.query("update claims set expires_at = now() - interval '1 millisecond' where id = $1", [claim.id])
    for (const method of ['GET', 'HEAD']) {
      const answer = await fetch(urlOf(claim), { method, headers: { 'if-none-match': '*' } })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([410, PROBLEM])
    }
  })
})

describe('putting away', () => {
  it('keeps nothing of what is too large, or breaks', async () => {
    const before = await rowsOf()
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(3 * PART_BYTES))
      throw new Error('the query broke')
    }
    const options = { contentType: 'text/csv' }
    await expect(claims.put(inPieces(Buffer.alloc(MAX_BYTES + 1)), options)).rejects.toThrow(ClaimTooLarge)
    await expect(claims.put(broken(), options)).rejects.toThrow('the query broke')
    expect(await rowsOf()).toEqual(before)
    expect((await claims.put(inPieces(Buffer.alloc(MAX_BYTES), 1 << 20), options)).bytes).toBe(MAX_BYTES)
  })

  it('stores what has come, and holds no connection while more is to come', async () => {
    const { parts } = await rowsOf()
    let goOn = (): void => undefined
    const later = new Promise<void>((resolve) => (goOn = resolve))
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(2 * PART_BYTES + 1))
      await later
      yield Buffer.from('.')
    }
    const putting = claims.put(slow(), { contentType: 'text/csv' })
    await eventually(async () => (await rowsOf()).parts === parts + 2n)
    expect(api.pool.idleCount).toBe(api.pool.totalCount)
    goOn()
    expect((await putting).bytes).toBe(2 * PART_BYTES + 2)
  })

  it('fails where it was given up for abandoned meanwhile, and so does sealing', async () => {
    const forget = 'update claims set removed_at = now() where sealed_at is null and removed_at is null'
    async function* forgotten(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(PART_BYTES))
      await api.pool.query(forget)
      yield* inPieces(claimContent(PART_BYTES))
    }
    await expect(claims.put(forgotten(), { contentType: 'text/csv' })).rejects.toThrow(ClaimGone)
    const [whole, lost] = [
      await putSealed(api, claimContent(9)),
      await claims.put(inPieces(claimContent(9)), { contentType: 'x/y' }),
    ]
    await api.pool.query(forget)
    const sealing = withTransaction(api.pool, (client) => claims.seal(client, [lost]))
    await expect(sealing).rejects.toThrow(ClaimGone)
    expect([(await fetch(urlOf(whole))).status, (await fetch(urlOf(lost))).status]).toEqual([200, 404])
  })

  it('adds no part to what is being removed just now', async () => {
    const client = await api.pool.connect()
    const removing = `update claims set removed_at = now()
      where id = (select id from claims order by created_at desc limit 1) and sealed_at is null returning id`
    let removed: { id: string }[] = []
    async function* beingRemoved(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(PART_BYTES))
      await client.query('begin')
      removed = (await client.query<{ id: string }>(removing)).rows
      await client.query('delete from claim_parts where claim_id = $1', [removed[0]!.id])
      yield* inPieces(claimContent(PART_BYTES))
    }
    try {
      const putting = claims.put(beingRemoved(), { contentType: 'text/csv' }).catch((error: unknown) => error)
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
      await eventually(async () => (await client.query(waiting)).rowCount === 1)
      await client.query('commit')
      expect(await putting).toBeInstanceOf(ClaimGone)
    } finally {
      client.release()
    }
    const parts = await api.pool.query('select from claim_parts where claim_id = $1', [removed[0]!.id])
    expect([removed.length, parts.rowCount]).toEqual([1, 0])
  })
})

describe('reading', () => {
  let large: Claim
  beforeAll(async () => {
    large = await putSealed(api, claimContent(LARGE))
  })

  it('lets sixteen at once in, who hold no connection of the pool while they take nothing', async () => {
    const patient = await startTestApp({ DATABASE_URL: api.databaseUrl })
    const url = `${patient.url}/claims/${large.id}`
    const readers = async (): Promise<number> => sum(await patient.metrics(), 'rates_claim_readers')
    const paused = await Promise.all(Array.from({ length: 16 }, () => pausedReader(url)))
    try {
      expect(paused.map(({ statusCode }) => statusCode)).toEqual(paused.map(() => 200))
      const more = await fetch(url)
      await more.body?.cancel()
      expect([more.status, more.headers.get('retry-after'), more.headers.get('etag')]).toEqual([503, '5', null])
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(200) // it reads nothing
      await eventually(async () => Promise.resolve(patient.pool.idleCount === patient.pool.totalCount))
      expect(await readers()).toBe(16)
      const [first, ...others] = paused
      for (const other of others) other.destroy()
      expect(sha256Of(await bodyOf(first!))).toBe(large.sha256)
      await eventually(async () => (await readers()) === 0)
      expect((await bodyOf(await pausedReader(url))).length).toBe(LARGE)
    } finally {
      for (const each of paused) each.destroy()
      await patient.close()
    }
  })

  it('cuts who takes nothing', async () => {
    const left = await reads('left')
    const paused = await pausedReader(urlOf(large))
    try {
      await eventually(async () => (await reads('left')) === left + 1)
      await expect(bodyOf(paused)).rejects.toThrow('aborted')
    } finally {
      paused.destroy()
    }
    expect(sum(await api.metrics(), 'rates_claim_readers')).toBe(0)
  })

  it.each([
    ['is missing', 'delete from claim_parts where claim_id = $1 and part = $2', []],
    ['is no zstd', 'update claim_parts set content = $3 where claim_id = $1 and part = $2', [Buffer.from('?')]],
    [
      'has other content of the same length',
      'update claim_parts set content = $3 where claim_id = $1 and part = $2',
      [zstdCompressSync(Buffer.alloc(PART_BYTES, 'x'))],
    ],
    [
      'is longer than a part',
      'update claim_parts set content = $3 where claim_id = $1 and part = $2',
      [zstdCompressSync(Buffer.alloc(PART_BYTES + 1, 'x'))],
    ],
  ])('cuts the connection where a part in the middle, or the last one, %s', async (_, statement, values) => {
    for (const part of [1, 3]) {
      const claim = await putSealed(api, claimContent(4 * PART_BYTES))
      await api.pool.query(statement, [claim.id, part, ...values])
      const broken = await reads('broken')
      const answer = await fetch(urlOf(claim))
      expect(answer.status).toBe(200)
      await expect(answer.arrayBuffer()).rejects.toThrow('terminated')
      await eventually(async () => (await reads('broken')) === broken + 1)
    }
  })

  it('says that it is gone where not even its beginning is there, and nothing of its headers', async () => {
    const claim = await putSealed(api, claimContent(2 * PART_BYTES))
    await api.pool.query('delete from claim_parts where claim_id = $1 and part = 0', [claim.id])
    const answer = await fetch(urlOf(claim))
    expect([answer.status, answer.headers.get('etag'), answer.headers.get('expires')]).toEqual([410, null, null])
  })

  it('counts how it went', async () => {
    const before = await reads('served')
    const claim = await putSealed(api, claimContent(10))
    await (await fetch(urlOf(claim))).text()
    await eventually(async () => (await reads('served')) === before + 1)
    expect(
      undocumented(
        (await api.metrics()).filter(({ name }) => name.startsWith('rates_claim')),
        [],
      ),
    ).toEqual([])
  })
})
