import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { wordsOf } from '@rates/core/words'
import fc from 'fast-check'
import { type DataSource } from 'typeorm'
import { Ledger, ledgerSource } from './ledger.ts'
import { batchesSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
})
afterAll(() => api.close())

interface Row {
  state?: string
  source?: string | null
  dryRun?: boolean
  error?: object
  retryOf?: string
}

async function add(id: string, row: Row = {}): Promise<void> {
  const { state = 'succeeded', source = null, dryRun = false, error, retryOf = null } = row
  await api.pool.query(
    `insert into batches (id, state, source, dry_run, error, retry_of, finished_at)
     values ($1, $2, $3, $4, $5, $6, case when $2 <> 'open' then clock_timestamp() end)`,
    [id, state, source, dryRun, error === undefined ? null : JSON.stringify(error), retryOf],
  )
}

async function search(parameters: Record<string, string>): Promise<{ ids: string[]; nextCursor: string | null }> {
  const { status, body } = await api.get(`/batches?${new URLSearchParams(parameters)}`)
  expect({ status, body }).toMatchObject({ status: 200 })
  const { batches, nextCursor } = batchesSchema.parse(body)
  return { ids: batches.map(({ id }) => id), nextCursor }
}
const found = async (q: string, more = {}): Promise<string[]> => (await search({ q, ...more })).ids

describe('GET /batches?q=', () => {
  beforeAll(async () => {
    await add('acme-2026-11-20', { source: 'Acme Europe' })
    await add('acme-2026-11-21', {
      source: 'acme_bulk',
      state: 'failed',
      error: {
        code: 'rejected_rows',
        message: "3 of 4 rows break a rule; it's over",
        rules: { unknown_port: 2, not_a_date: 1 },
      },
    })
    await add('upload-5f0c.x:y', { source: 'Zürich 上海', state: 'open' })
    await add('upload-5f0c.x:y', { source: 'Zürich 上海', dryRun: true })
    await add('late', {
      state: 'failed',
      error: { code: 'incomplete', message: 'chunk 7 never came', missingChunks: [42] },
    })
  })

  it.each([
    ['acme', ['acme-2026-11-21', 'acme-2026-11-20']],
    ['ACM', ['acme-2026-11-21', 'acme-2026-11-20']],
    ['acme-2026-11-20', ['acme-2026-11-21', 'acme-2026-11-20']], // 2026 begins with 20, too
    ['acme-2026-11-21', ['acme-2026-11-21']],
    ['2026-11', ['acme-2026-11-21', 'acme-2026-11-20']],
    ['21 acme', ['acme-2026-11-21']],
    ['euro', ['acme-2026-11-20']],
    ['bulk', ['acme-2026-11-21']],
    ['rejected_rows', ['acme-2026-11-21']],
    ['unknown_port', ['acme-2026-11-21']],
    ['3 of 4 rows break a rule; nobody', []],
    ["it's over", ['acme-2026-11-21']],
    ['incompl', ['late']],
    ['5f0c', ['upload-5f0c.x:y', 'upload-5f0c.x:y']],
    ['x:y', ['upload-5f0c.x:y', 'upload-5f0c.x:y']],
    ['上', ['upload-5f0c.x:y', 'upload-5f0c.x:y']],
    ['cme', []],
    ['acme 上海', []],
    // Nothing of what a tsquery has words for means anything.
    ["acme' | 'late", []],
    ['!acme', ['acme-2026-11-21', 'acme-2026-11-20']],
    ['acme & late | late', []],
    ['late:*AB', []],
    ['\\late\\', ['late']],
    ['late\u0000\t', ['late']],
  ])('%j finds %j', async (q, ids) => expect(await found(q)).toEqual(ids))

  it('goes with every other filter', async () => {
    expect(await found('acme', { state: 'failed' })).toEqual(['acme-2026-11-21'])
    expect(await found('acme', { source: 'Acme Europe' })).toEqual(['acme-2026-11-20'])
    expect(await found('upload', { dryRun: 'true' })).toHaveLength(1)
    expect(await found('upload', { state: 'pending' })).toHaveLength(1)
    expect(await found('acme', { until: '2020-01-01T00:00:00Z' })).toEqual([])
    expect(await found('acme', { since: '2020-01-01T00:00:00Z', limit: '1' })).toEqual(['acme-2026-11-21'])
  })

  it('finds an error once it is there', async () => {
    await add('turns', { state: 'open' })
    expect(await found('suddenly')).toEqual([])
    await api.pool.query(
      `update batches set state = 'failed', finished_at = clock_timestamp(), error = '{"code":"x","message":"suddenly"}'
       where id = 'turns'`,
    )
    expect(await found('suddenly')).toEqual(['turns'])
  })

  it('finds whatever a source has, by the beginning of any of its words', async () => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.nat(), async (text, cut) => {
        const source = text.replaceAll('\u0000', '')
        const words = wordsOf(source)
        if (words.length === 0 || words.length > 20) return
        const id = `random-${n++}`
        await add(id, { source })
        const word = [...words[cut % words.length]!]
        expect(await found(word.slice(0, 1 + (cut % word.length)).join(''), { limit: '200' })).toContain(id)
        expect(await found(source)).toContain(id)
      }),
      { numRuns: 50 },
    )
  })

  it.each([
    ['---', 'q: has no word to look for'],
    ['\u0000 \t', 'q: has no word to look for'],
    [Array.from({ length: 21 }, (_, i) => `w${i}`).join(' '), 'q: has more than 20 words'],
    [`a ${'é'.repeat(201)}`, 'q: has a word of more than 200 characters'],
  ])('refuses what is no search: %#', async (q, detail) => {
    const { status, body } = await api.get(`/batches?${new URLSearchParams({ q })}`)
    expect({ status, body }).toMatchObject({ status: 400, body: { detail } })
  })

  it('takes words as long as they may be, and stores longer ones', async () => {
    const word = '上'.repeat(200)
    await add('long-source', { source: word })
    await add('longest', { state: 'failed', error: { code: 'x', message: 'ü'.repeat(100_000), rules: {} } })
    expect(await found(word)).toEqual(['long-source'])
    expect(await found('ü'.repeat(200))).toEqual(['longest'])
  })

  it('counts as left out when it is empty', async () =>
    expect(await found('', { source: 'acme_bulk' })).toHaveLength(1))
})

describe('GET /batches with what the ledger could not read', () => {
  it.each([
    ['source=%00', 'source: is not the source of any batch'],
    ['cursor=zzzzzzzzzzzzz', 'cursor: is not a cursor of this list'],
    ['cursor=1y2p0ij32e8e8', 'cursor: is not a cursor of this list'], // 2^63
  ])('refuses %s', async (query, detail) => {
    const { status, body } = await api.get(`/batches?${query}`)
    expect({ status, body }).toMatchObject({ status: 400, body: { detail } })
  })

  it('takes the largest cursor', async () =>
    expect((await search({ cursor: '1y2p0ij32e8e7', q: 'acme' })).ids).toHaveLength(2))
})

describe('GET /batches?retryOf=', () => {
  it('lists the batches that have the records of another again', async () => {
    await add('r1')
    await add('r1.retry-1', { retryOf: 'r1' })
    await add('r1.retry-2', { retryOf: 'r1', state: 'open' })
    expect((await search({ retryOf: 'r1' })).ids).toEqual(['r1.retry-2', 'r1.retry-1'])
    expect((await search({ retryOf: 'r1', state: 'pending' })).ids).toEqual(['r1.retry-2'])
    expect((await search({ retryOf: 'r1', q: 'retry' })).ids).toEqual(['r1.retry-2', 'r1.retry-1'])
    expect((await search({ retryOf: 'r2' })).ids).toEqual([])
    const { body } = await api.get(`/batches?retryOf=%00`)
    expect(body).toMatchObject({ status: 400, detail: 'retryOf: is not the id of a batch' })
  })
})

describe('among many batches', () => {
  const asked: { text: string; values: unknown[] }[] = []
  let source: DataSource
  let ledger: Ledger
  beforeAll(async () => {
    await api.pool.query(`
      insert into batches (id, state, source, finished_at)
      select 'many-' || i || case when i = 49100 then '-needle' else '' end, case when i % 100 = 0 then 'failed' else 'succeeded' end,
        case when i > 52000 then 'often' else 'formerly' end || case when i % 3000 = 0 then ' seldom' else '' end, clock_timestamp()
      from generate_series(1, 60000) i`)
    await api.pool.query('analyze batches')
    source = ledgerSource(api.databaseUrl, 1)
    source.logger = {
      logQuery: (text: string, values: unknown[] = []) => void asked.push({ text, values }),
      logQueryError: () => undefined,
      logQuerySlow: () => undefined,
      logSchemaBuild: () => undefined,
      logMigration: () => undefined,
      log: () => undefined,
    }
    ledger = new Ledger(source, { publicUrl: '', logTemplate: undefined })
    await ledger.list({ limit: 1 }) // connects
  })
  afterAll(() => ledger.close())

  /** What it finds, and PostgreSQL's plans of the statements that it asks. */
  async function explain(q: string, more: { state?: ['failed']; cursor?: bigint } = {}): Promise<[string[], string[]]> {
    asked.length = 0
    const { batches } = await ledger.list({ words: wordsOf(q), limit: 50, ...more })
    const plans: string[] = []
    for (const { text, values } of asked) {
      const { rows } = await api.pool.query<{ 'QUERY PLAN': string }>(`explain ${text}`, values)
      plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'))
    }
    return [batches.map(({ id }) => id), plans]
  }

  it('one that few have is asked of the index', async () => {
    for (const more of [{}, { state: ['failed'] as ['failed'] }, { cursor: 1_000_000n }]) {
      const [ids, plans] = await explain('needle', more)
      expect(ids).toEqual(['many-49100-needle'])
      expect(plans[1]).toContain('Bitmap Index Scan on batches_words')
      for (const plan of plans) expect(plan).not.toContain('Seq Scan on batches')
    }
  })

  it('one that many have is met among the newest', async () => {
    const [ids, plans] = await explain('often')
    expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => (i === 0 ? 'many-60000' : `many-${60_000 - i}`)))
    expect(plans).toHaveLength(1)
    expect(plans[0]).toContain('Index Scan Backward using batches_pkey')
    expect(plans[0]).not.toContain('batches_words')
    const [failed, [plan, ...none]] = await explain('often', { state: ['failed'] })
    expect(failed.slice(0, 2)).toEqual(['many-60000', 'many-59900'])
    expect(plan).not.toContain('Seq Scan on batches')
    expect(none).toEqual([])
  })

  it('one that many had is asked of the index', async () => {
    const [ids, plans] = await explain('formerly')
    expect([ids[0], ids.length, plans.length]).toEqual(['many-52000', 50, 2])
    expect(plans[1]).toContain('batches_words')
  })

  it('pages follow one another, however they were found', async () => {
    const ids: string[] = []
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await search({ q: 'many seldom', limit: '3', ...(cursor && { cursor }) })
      ids.push(...page.ids)
      cursor = page.nextCursor
    }
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => `many-${60_000 - 3000 * i}`))
  })
})
