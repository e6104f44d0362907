import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type Failpoint } from '@rates/service/failpoints'
import { groupNames } from '@rates/service/topics'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess } from '@rates/testing/workers'
import { seedPrices } from './test-app.ts'
import { allCommitted, AnswerReader, ask, contents, idsOf, type TestQuery } from './test-queries.ts'

const rates = { date_from: '2021-01-01', date_to: '2021-01-10', orig_code: 'CNGGZ', dest_code: 'NLRTM' }
const QUERIES = 150
const queries: TestQuery[] = Array.from({ length: QUERIES }, (_, i) => ({
  value: rates,
  key: `key ${i % 5}`,
  headers: { 'correlation-id': String(i) },
}))

let line: Line
let answers: AnswerReader
beforeEach(async () => {
  line = await startLine({ partitions: 2 })
  await pricesChange(100)
  answers = await AnswerReader.of(line, line.topics.replies)
})
afterEach(() => line.close())

/** Whoever answers now answers otherwise than before. */
const pricesChange = (price: number): Promise<unknown> =>
  seedPrices(line.pool, `of-${price}`, [['CNGGZ', 'NLRTM', '2021-01-02', price]])

/** Each query has one distinct answer, and a key's come in the order of its queries, repeats left out. */
async function eachIsAnsweredOnce(count: number): Promise<void> {
  const all = await answers.distinct(count)
  await allCommitted(line)
  expect(idsOf(all).size).toBe(count)
  for (const seen of contents(await answers.all()).values()) expect([...seen]).toHaveLength(1)
  for (const of of Map.groupBy(all, ({ key }) => Buffer.from(key!).toString()).values()) {
    const order = [...new Set(of.map(({ headers }) => Number(headers.get('correlation-id'))))]
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  }
}

describe('kill -9 of who answers queries', () => {
  it.each<[Failpoint, number]>([
    ['took-query', 1],
    ['noted-answer', 1],
    ['sent-answer', 1],
    ['noted-answer', 2],
    ['sent-answer', 2],
  ])('at %s, pass %i: each has one distinct answer', async (failpoint, pass) => {
    const doomed = await startApiProcess(line, { FAILPOINTS: `${failpoint}@${pass}` })
    await ask(line, queries)
    expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
    await pricesChange(200)
    await startApiProcess(line)
    await eachIsAnsweredOnce(QUERIES)
  })
})

describe('two processes', () => {
  it('one stands still with queries in hand, and goes on when the other has answered: each has one answer', async () => {
    const sleeper = await startApiProcess(line)
    await sleeper.said('queries by message are answered')
    const client = await line.pool.connect()
    await client.query('begin; lock table price_packs in access exclusive mode')
    await ask(line, queries)
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
      and application_name = 'rates-api' and query like '%price_packs%'`
    await eventually(async () => (await line.pool.query(waiting)).rowCount! > 0, { what: 'a query that reads' })
    sleeper.signal('SIGSTOP')
    await client.query('commit') // it reads now, and will see later what it has read
    client.release()
    await eventually(async () => (await line.pool.query(waiting)).rowCount === 0, { what: 'its end' })
    await pricesChange(200)
    await startApiProcess(line)
    await eachIsAnsweredOnce(QUERIES)
    sleeper.signal('SIGCONT')
    // What it had made is not what it sends.
    const repeated = async (): Promise<boolean> => (await answers.all()).length > QUERIES
    await eventually(repeated, { within: 60_000, what: 'answers of the one that stood still' })
    await ask(line, queries)
    await eachIsAnsweredOnce(2 * QUERIES)
  })

  it('one leaves while the other works: each has one answer, and no answer comes twice', async () => {
    const leaving = await startApiProcess(line)
    await leaving.said('queries by message are answered')
    await startApiProcess(line)
    const two = async (): Promise<boolean> =>
      (await line.admin.group(groupNames(line.prefix).queries)).members.length === 2
    await eventually(two, { what: 'both in the group' })
    await ask(line, queries)
    await answers.distinct(20)
    leaving.signal('SIGTERM')
    expect(await leaving.exited).toEqual({ code: 0, signal: null })
    await eachIsAnsweredOnce(QUERIES)
    expect(await answers.all()).toHaveLength(QUERIES)
  })
})
