import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type IncomingRecord } from '@rates/service/kafka'
import { createLogger } from '@rates/service/log'
import { createPool } from '@rates/service/postgres'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import { type Pool } from 'pg'
import { QueryAnswers, type NotedAnswer } from './query-answers.ts'

let database: TestDatabase
let pool: Pool
let answers: QueryAnswers
beforeAll(async () => {
  database = await createTestDatabase()
  pool = createPool(database.url, { name: 'test', max: 4, log: createLogger('test', 'silent') })
  answers = new QueryAnswers(pool)
})
beforeEach(() => pool.query('truncate query_answers'))
afterAll(async () => {
  await pool.end()
  await database.drop()
})

const record = (offset: number, more: Partial<IncomingRecord> = {}): IncomingRecord => ({
  topic: 'q',
  partition: 1,
  offset: BigInt(offset),
  key: null,
  timestamp: 1_700_000_000_123,
  headers: new Map(),
  value: null,
  ...more,
})
const answer = (offset: number, body: string, key: Buffer | null = null): NotedAnswer => ({
  offset: BigInt(offset),
  replyTopic: 'r',
  key,
  headers: { status: '200', 'correlation-id': 'é' },
  body: Buffer.from(body),
})
const note = (offsets: readonly number[], body: string, seal = () => Promise.resolve()): Promise<NotedAnswer[]> =>
  answers.note(
    offsets.map((offset) => ({ record: record(offset), answer: answer(offset, body, Buffer.from([0, 255])) })),
    seal,
  )

describe('the table of answers', () => {
  it('gives back what was noted, whatever is noted afterwards', async () => {
    let sealed: readonly bigint[] = []
    const seal = (_: unknown, offsets: ReadonlySet<bigint>): Promise<void> => {
      sealed = [...offsets]
      return Promise.resolve()
    }
    expect(await note([1, 2], 'first')).toMatchObject([{ body: Buffer.from('first') }, { body: Buffer.from('first') }])
    const again = await answers.note(
      [1, 3, 2].map((offset) => ({ record: record(offset), answer: answer(offset, 'second') })),
      seal,
    )
    expect(again.map(({ offset, body }) => [offset, body.toString()])).toEqual([
      [1n, 'first'],
      [3n, 'second'],
      [2n, 'first'],
    ])
    expect(sealed).toEqual([3n])
    const found = await answers.find([record(1), record(2), record(3), record(4)], 1000)
    expect(found.get(1n)).toEqual(answer(1, 'first', Buffer.from([0, 255])))
    expect(found.get(3n)).toEqual(answer(3, 'second'))
    expect(found.has(4n)).toBe(false)
  })

  it('waits for another process that is noting the same, and has its answers or none', async () => {
    let began: () => void = () => undefined
    let goOn: (error?: Error) => void = () => undefined
    const inside = new Promise<void>((resolve) => (began = resolve))
    const gate = new Promise<void>((resolve, reject) => (goOn = (error) => (error ? reject(error) : resolve())))
    const other = note([1], 'of the other', () => {
      began()
      return gate
    })
    await inside
    const ours = note([1], 'ours')
    goOn(new Error('it dies'))
    await expect(other).rejects.toThrow('it dies')
    expect((await ours)[0]!.body.toString()).toBe('ours')
  })

  it('notes nothing where the claims cannot be sealed', async () => {
    await expect(note([1], 'a', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone')
    expect((await answers.find([record(1)], 1000)).size).toBe(0)
  })

  it('knows another place or time from this one', async () => {
    await note([1], 'a')
    for (const other of [{ topic: 'other' }, { partition: 2 }, { timestamp: 1_700_000_000_124 }]) {
      expect((await answers.find([record(1, other)], 1000)).size).toBe(0)
    }
  })

  it.each([-1, 9e18, Number.MAX_SAFE_INTEGER])('takes the record time %d of a sender’s clock', async (timestamp) => {
    await answers.note([{ record: record(1, { timestamp }), answer: answer(1, 'a') }], () => Promise.resolve())
    expect((await answers.find([record(1, { timestamp })], 1000)).size).toBe(1)
  })

  it('gives bodies up to the bytes that it is asked for, the first one always', async () => {
    await note([1, 2, 3], 'x'.repeat(100))
    const records = [record(1), record(2), record(3)]
    const bodies = async (bytes: number): Promise<unknown[]> =>
      [...(await answers.find(records, bytes))].toSorted().map(([, found]) => (found === 'later' ? found : 'there'))
    expect(await bodies(1)).toEqual(['there', 'later', 'later'])
    expect(await bodies(101)).toEqual(['there', 'there', 'later'])
    expect(await bodies(1000)).toEqual(['there', 'there', 'there'])
  })

  it('forgets what is older than a quarter of an hour and committed, and what is a week old', async () => {
    await note([1, 2, 3, 4], 'a')
    const older = (offset: number, by: string) =>
      pool.query('update query_answers set answered_at = answered_at - $2::interval where record_offset = $1', [
        offset,
        by,
      ])
    await older(1, '16 minutes')
    await older(3, '16 minutes') // not committed
    await older(4, '8 days')
    expect(await answers.forget('q', new Map([[1, 3n]]))).toBe(2)
    expect(await answers.forget('q', new Map([[2, 9n]]))).toBe(0)
    const left = await answers.find(
      [1, 2, 3, 4].map((offset) => record(offset)),
      1000,
    )
    expect([...left.keys()].toSorted()).toEqual([2n, 3n])
  })
})
