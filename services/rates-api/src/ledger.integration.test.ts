import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import fc from 'fast-check'
import { batchSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
})
afterAll(() => api.close())

let batches = 0

async function open(): Promise<{ id: string; no: bigint }> {
  const id = `b${batches++}`
  const { rows } = await api.pool.query<{ no: bigint }>(
    `insert into batches (id, state) values ($1, 'open') returning no`,
    [id],
  )
  return { id, no: rows[0]!.no }
}

interface Chunk {
  chunk: number
  total: number | null
  progress: number | null
}

const store = (no: bigint, { chunk, total, progress }: Chunk): Promise<unknown> =>
  api.pool.query(
    `insert into batch_chunks (batch_no, chunk, total, progress, rows, rejected, sha256, digest, topic, partition, record_offset,
       record_time, bytes, worker, peak_memory, taken_at)
     values ($1, $2::int, $3, $4, 100, 0, '\\x00', decode(repeat('00', 16), 'hex'), 't', 0, $2, clock_timestamp(), 1000, 'w', 1,
       clock_timestamp() - interval '1 s')`,
    [no, chunk, total, progress],
  )

async function show(id: string): Promise<Batch> {
  const { body } = await api.get(`/batches/${id}`)
  return batchSchema.parse(body) as Batch
}

/** Of a sender that says with each chunk how far it is, or does not, and at last how many there are. */
const sent = fc
  .record({
    shares: fc.array(fc.option(fc.integer({ min: 1, max: 1_000_000 }), { freq: 10 }), { minLength: 1, maxLength: 12 }),
    told: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ shares, told }): Chunk[] => {
    const rising = shares.filter((share) => share !== null).sort((a, b) => a - b)
    return shares.map((share, chunk) => {
      const last = chunk >= shares.length - told
      const part = share === null ? null : rising.shift()! / 1e6
      return { chunk, total: last ? shares.length : null, progress: last ? null : part }
    })
  })
const stored = sent.chain((chunks) => fc.shuffledSubarray(chunks, { minLength: chunks.length }))

describe('while a batch loads', () => {
  it('its progress and what is expected of it never go back, in whatever order chunks are stored', async () => {
    await fc.assert(
      fc.asyncProperty(stored, async (chunks) => {
        const { id, no } = await open()
        let last = -1
        for (const [i, chunk] of chunks.entries()) {
          await store(no, chunk)
          const { progress, rows, chunks: known, etaAt } = await show(id)
          const whole = i === chunks.length - 1
          if (progress === null) expect([last, known.expected]).toEqual([-1, null])
          else {
            expect(progress).toBeGreaterThanOrEqual(last)
            expect(progress === 1).toBe(whole)
            last = progress
          }
          expect(etaAt === null).toBe(progress === null)
          expect(rows.expected).toBe(whole ? chunks.length * 100 : null)
        }
        expect(last).toBe(1)
      }),
      {
        numRuns: 60,
        endOnFailure: true,
        examples: [[[2, 1, 0, 3].map((chunk) => chunkOf(chunk, [0.1, 0.11, 0.6, null]))]],
      },
    )
  })

  it('its progress is right where chunks are alike', async () => {
    const { id, no } = await open()
    const shares = Array.from({ length: 10 }, (_, i) => (i < 9 ? (i + 1) / 10 : null))
    for (const [i, chunk] of [3, 7, 0, 1, 8].entries()) {
      await store(no, chunkOf(chunk, shares))
      expect((await show(id)).progress).toBeCloseTo((i + 1) / 10, 6)
    }
  })
})

const chunkOf = (chunk: number, shares: readonly (number | null)[]): Chunk => ({
  chunk,
  total: chunk === shares.length - 1 ? shares.length : null,
  progress: shares[chunk]!,
})

const STATISTICS = [
  'rows',
  'chunks',
  'bytes',
  'progress',
  'rowsPerSecond',
  'phases',
  'peakMemoryBytes',
  'attempts',
] as const

describe('a batch that was taken back', () => {
  const statistics = (batch: Batch): object =>
    Object.fromEntries([...STATISTICS, 'workers' as const, 'finishedAt' as const].map((name) => [name, batch[name]]))

  async function succeed(replaces?: string): Promise<{ id: string; no: bigint; before: object }> {
    const { id, no } = await open()
    await api.pool.query('update batches set replaces = $2 where no = $1', [no, replaces ?? null])
    for (const chunk of [0, 1, 2]) await store(no, { chunk, total: 3, progress: null })
    await api.pool.query(
      `update batches set state = 'succeeded', finished_at = clock_timestamp(), chunks_expected = 3, rows_accepted = 300,
         rows_rejected = 0 where no = $1`,
      [no],
    )
    const before = await show(id)
    expect(before).toMatchObject({
      state: 'succeeded',
      rows: { accepted: 300, rejected: 0, expected: 300 },
      bytes: 3000,
      progress: 1,
      workers: ['w'],
      peakMemoryBytes: 1,
      phases: { queueSeconds: expect.any(Number), loadSeconds: expect.any(Number), publishSeconds: expect.any(Number) },
    })
    return { id, no, before: statistics(before) }
  }
  /** As the workers do it: prices go, the ledger stays. */
  const purge = (no: bigint): Promise<unknown> =>
    api.pool.query('update batches set purged_at = clock_timestamp() where no = $1', [no])

  it('keeps its statistics when it is reverted, and when its prices are gone', async () => {
    const { id, no, before } = await succeed()
    const reverted = await fetch(`${api.url}/batches/${id}/revert`, { method: 'POST' })
    expect(reverted.status).toBe(200)
    const hidden = await show(id)
    expect(hidden).toMatchObject({ state: 'reverted', hiddenAt: expect.any(String), purgedAt: null })
    expect(statistics(hidden)).toEqual(before)
    await purge(no)
    const purged = await show(id)
    expect(purged).toMatchObject({ state: 'reverted', hiddenAt: hidden.hiddenAt, purgedAt: expect.any(String) })
    expect(statistics(purged)).toEqual(before)
    const listed = (await api.get('/batches?state=reverted')).body as { batches: Batch[] }
    expect(listed.batches).toEqual([purged])
  })

  it('keeps them when it is replaced', async () => {
    const { id, no, before } = await succeed()
    const { id: newer } = await succeed(id)
    await api.pool.query(`update batches set state = 'replaced', replaced_by = $2 where no = $1`, [no, newer])
    await purge(no)
    const replaced = await show(id)
    expect(replaced).toMatchObject({ state: 'replaced', replacedBy: newer, purgedAt: expect.any(String) })
    expect(statistics(replaced)).toEqual(before)
  })
})
