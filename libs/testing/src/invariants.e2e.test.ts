import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { cancelBatch } from '@rates/service/produce-batch'
import kafkajs from 'kafkajs'
import pg from 'pg'
import { chunkRecords, csv, digestOf, testBatch, type TestBatch } from './batches.ts'
import { eventually } from './eventually.ts'
import { checkInvariants, expectInvariants, type Sent, type Violation } from './invariants.ts'
import { startLine, type Line, type SeenReply } from './line.ts'
import { observe } from './observer.ts'
import { saveTables } from './saved-tables.ts'
import { startWorkerProcess } from './workers.ts'

// A checker is trusted once it has caught a bug of its kind: each of these does what such a bug would leave behind.

let line: Line
let saved: Awaited<ReturnType<typeof saveTables>>
const large = testBatch(4_000)
const small = testBatch(100)
const failed = testBatch(30)
const dry = testBatch(40)
const old = testBatch(50)
const fresh = testBatch(60)
const cancelled = testBatch(200)
const sent: Sent[] = [
  { batch: large },
  { batch: small, requests: ['id_conflict'] },
  { batch: failed, state: 'failed', error: 'rejected_rows' },
  { batch: dry, dryRun: true },
  { batch: old, state: 'replaced' },
  { batch: fresh },
  { batch: cancelled, state: 'cancelled', error: 'cancelled' },
]

const whole = (batch: TestBatch, headers: Record<string, string> = {}) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value: csv(batch.lines),
})

beforeAll(async () => {
  line = await startLine({ partitions: 1 })
  const worker = await startWorkerProcess(line)
  failed.lines[3] = 'bad'
  await line.send([whole(small), whole({ ...testBatch(7), id: small.id }), whole(failed), whole(old)])
  await line.send([whole(dry, { 'dry-run': 'true' }), whole(fresh, { replaces: old.id })])
  const loading = await chunkRecords(line.topics.batches, { batchId: cancelled.id }, cancelled.lines, { chunks: 2 })
  await line.send(loading.slice(0, 1))
  await cancelBatch(line.producer, line.topics, { batchId: cancelled.id })
  const chunks = await chunkRecords(line.topics.bulk, { batchId: large.id }, large.lines, { chunks: 4, total: 'last' })
  const observer = await observe(line, [{ batch: large }, { batch: fresh, replaces: old }, { batch: small }])
  await line.send(chunks)
  for (const { batch } of sent) await line.reply(batch.id)
  await observer.sampled()
  const observation = await observer.stop()
  // With nothing wrong nothing is told, or no test below would tell anything.
  await expectInvariants(line, sent, { observation })
  expect(observation.seen.get(large.id)!.nothing).toBeGreaterThan(0)
  expect(observation.seen.get(large.id)!.all).toBeGreaterThan(0)
  worker.signal('SIGTERM')
  await worker.exited
  saved = await saveTables(line.pool)
})
afterAll(() => line.close())

const no = ({ id }: TestBatch): string => `(select no from batches where id = '${id}')`
const aPack = (batch: TestBatch): string =>
  `ctid = (select ctid from price_packs where batch_no = ${no(batch)} order by ctid limit 1)`

const found = (violations: readonly Violation[]): string[] =>
  [...new Set(violations.map(({ invariant, batch }) => `${invariant} ${batch ?? '-'}`))].sort()

const check = (expected: readonly Sent[] = sent, on: Line = line) => checkInvariants(on, expected, { within: 150 })

describe('a bug that leaves the database wrong', () => {
  const doubled = digestOf([...small.lines, ...small.lines])
  const wrongDigest = `decode(md5('x'), 'hex')`
  const cases: [string, string, string[]][] = [
    [
      'a batch is lost with all that it had',
      `delete from price_packs where batch_no = ${no(small)}; delete from batch_chunks where batch_no = ${no(small)};
       delete from outbox where batch_id = '${small.id}'; delete from batches where id = '${small.id}'`,
      [`I1 ${small.id}`],
    ],
    [
      'a batch is opened again and never ends',
      `update batches set state = 'open', finished_at = null where id = '${fresh.id}'`,
      ['I1', 'I4', 'I2', 'I6'],
    ],
    [
      'a batch is applied twice',
      `insert into price_packs select * from price_packs where batch_no = ${no(small)}`,
      [`I2 ${small.id}`],
    ],
    [
      'a batch is applied twice, and the ledger agrees',
      `insert into price_packs select * from price_packs where batch_no = ${no(small)};
       update batches set rows_accepted = 200, digest = decode('${doubled}', 'hex') where id = '${small.id}';
       update batch_chunks set rows = 200, digest = decode('${doubled}', 'hex') where batch_no = ${no(small)}`,
      [`I2 ${small.id}`, `I4 ${small.id}`],
    ],
    ['a pack is lost', `delete from price_packs where ${aPack(large)}`, [`I2 ${large.id}`]],
    ['n is wrong', `update price_packs set n[1] = n[1] + 1 where ${aPack(large)}`, [`I2 ${large.id}`]],
    ['s is wrong', `update price_packs set s[1] = s[1] + 1 where ${aPack(large)}`, [`I2 ${large.id}`]],
    [
      'the digest is not that of what was sent',
      `update batches set digest = ${wrongDigest} where id = '${small.id}'`,
      [`I2 ${small.id}`, `I4 ${small.id}`],
    ],
    [
      'a batch succeeds, and is hidden still',
      `insert into hidden_batches values (${no(small)})`,
      [`I2 ${small.id}`, `I4 ${small.id}`, 'I6 -'],
    ],
    [
      'a replaced batch is shown beside its replacement',
      `delete from hidden_batches where batch_no = ${no(old)}`,
      [`I2 ${old.id}`, `I4 ${old.id}`],
    ],
    [
      'a batch has two outcomes, one after the other',
      `update batches set state = 'failed' where id = '${cancelled.id}'`,
      [`I1 ${cancelled.id}`, `I4 ${cancelled.id}`],
    ],
    [
      'a succeeded batch fails',
      `update batches set state = 'failed' where id = '${small.id}'`,
      ['I1', 'I4', 'I2', 'I6'],
    ],
    ['a reply was never sent', `update outbox set sent_at = null where batch_id = '${small.id}'`, ['I6 -']],
    [
      'a reply was sent otherwise than it stands in the outbox',
      `update outbox set body = body || ' ' where reply_id = '${small.id}/succeeded'`,
      [`I5 ${small.id}`],
    ],
    [
      'packs of no batch',
      `insert into price_packs select 777, orig, dest, month, days, n, s, prices from price_packs where ${aPack(small)}`,
      ['I2', 'I6 -', 'I6 no. 777'],
    ],
    ['a hidden row of no batch', `insert into hidden_batches values (777)`, ['I6 -', 'I6 no. 777']],
    ['a purged batch is hidden still', `insert into hidden_batches values (${no(failed)})`, ['I6 -', 'I4']],
    ['a lease that nobody can take', `insert into leases values ('x', 'gone', 'infinity')`, ['I6 -']],
    ['an attempt that is counted for ever', `insert into record_attempts values ('t', 0, 1, 2)`, ['I6 -']],
  ]
  it.each(cases)('%s', async (_, sql, expected) => {
    await saved.tamper(sql)
    try {
      const told = found(await check())
      for (const each of expected) expect(told.some((violation) => violation.startsWith(each))).toBe(true)
      expect(told.filter((violation) => !expected.some((each) => violation.startsWith(each)))).toEqual([])
    } finally {
      await saved.restore()
    }
  })

  it('a table is left', async () => {
    await line.pool.query('create table rows_of_batch_7 (price int)')
    expect(found(await check())).toEqual(['I6 -'])
    await line.pool.query('drop table rows_of_batch_7')
  })

  it.each([
    ['a transaction', 'begin; select 1'],
    ['a lock', 'select pg_advisory_lock(7)'],
  ])('%s is left open by a connection that does nothing', async (_, sql) => {
    const stuck = new pg.Client({ connectionString: line.databaseUrl })
    await stuck.connect()
    await stuck.query(sql)
    await eventually(async () => found(await check()).join() === 'I6 -')
    await stuck.end()
    expect(await check()).toEqual([])
  })
})

describe('a bug that leaves the replies wrong', () => {
  const own = ({ id }: SeenReply): boolean => id === `${small.id}/succeeded`
  const other = (reply: SeenReply, change: object, id = reply.id): SeenReply => {
    const changed = { ...reply.reply, ...change }
    return { id, bytes: JSON.stringify(changed), reply: changed }
  }
  const cases: [string, (replies: SeenReply[]) => SeenReply[], string[]][] = [
    ['none', (all) => all.filter((reply) => !own(reply)), ['I5']],
    [
      'two outcomes',
      (all) => [
        ...all,
        other(all.find(own)!, { state: 'failed', replyId: `${small.id}/failed` }, `${small.id}/failed`),
      ],
      ['I5'],
    ],
    ['the same id with other bytes', (all) => [...all, other(all.find(own)!, { finishedAt: 'now' })], ['I5']],
    [
      'another outcome',
      (all) => all.map((reply) => (own(reply) ? other(reply, { state: 'failed' }) : reply)),
      ['I4', 'I5'],
    ],
    [
      'other rows',
      (all) => all.map((reply) => (own(reply) ? other(reply, { rows: { accepted: 1, rejected: 0 } }) : reply)),
      ['I4', 'I5'],
    ],
    [
      'another digest',
      (all) => all.map((reply) => (own(reply) ? other(reply, { digest: 'ab' }) : reply)),
      ['I4', 'I5'],
    ],
    ['a conflict that is not told', (all) => all.filter(own), ['I5']],
  ]
  it.each(cases)('%s', async (_, tamper, expected) => {
    const replies = async (id: string): Promise<SeenReply[]> => {
      const all = await line.replies(id)
      return id === small.id ? tamper(all) : all
    }
    expect(found(await check(sent, { ...line, replies }))).toEqual(expected.map((each) => `${each} ${small.id}`))
  })

  it('a repeated record with the same bytes is none', async () => {
    const replies = async (id: string) => (await line.replies(id)).flatMap((reply) => [reply, reply])
    expect(await check(sent, { ...line, replies })).toEqual([])
  })
})

describe('a reader in the middle of it', () => {
  /** Does one thing after the other, with samples between; what the reader has to say. */
  async function whatReadersSay(steps: readonly string[]): Promise<string[]> {
    const observer = await observe(line, [{ batch: large }, { batch: small }, { batch: fresh, replaces: old }])
    try {
      for (const step of steps) {
        await saved.tamper(step)
        await observer.sampled()
      }
    } finally {
      await saved.restore()
    }
    const { violations } = await observer.stop()
    return violations.map(({ invariant, batch, message }) => `${invariant} ${batch}: ${message}`)
  }
  const hide = (batch: TestBatch) => `insert into hidden_batches values (${no(batch)})`
  const show = (batch: TestBatch) => `delete from hidden_batches where batch_no = ${no(batch)}`

  it.each<[string, string[], string]>([
    [
      'a batch is shown before all its rows are there',
      [`delete from price_packs where ${aPack(large)}`],
      'a part of a batch',
    ],
    ['a batch vanishes', [hide(small)], 'it was visible, and is not any more'],
    ['the replacement is shown before the replaced one is hidden', [show(old)], 'are both visible'],
    [
      'the replaced one is hidden before the replacement is shown',
      [hide(fresh)],
      'neither it nor what takes its place',
    ],
    [
      'a row is seen twice',
      [`insert into price_packs select * from price_packs where ${aPack(small)}`],
      'a part of a batch',
    ],
  ])('%s', async (_, steps, message) => {
    const said = await whatReadersSay(steps)
    expect(said.some((each) => each.startsWith('I3') && each.includes(message))).toBe(true)
  })

  it('a reverted replacement whose replaced one is shown in the same commit is none', async () => {
    expect(await whatReadersSay([`${hide(fresh)}; ${show(old)}`])).toEqual([])
  })
})

describe('an offset that was committed before the work', () => {
  it('leaves a batch that nobody ever ends: told as lost', async () => {
    const lost = testBatch(10)
    await line.send([whole(lost)])
    expect(found(await check([...sent, { batch: lost }]))).toEqual([`I1 ${lost.id}`, 'I6 -'])
    const admin = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    const topic = line.topics.batches
    const ends = await admin.fetchTopicOffsets(topic)
    const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }))
    await admin.setOffsets({ groupId: line.groups.batches, topic, partitions })
    await admin.disconnect()
    await startWorkerProcess(line)
    await eventually(async () => (await check(sent)).length === 0)
    expect(found(await check([...sent, { batch: lost }]))).toEqual([`I1 ${lost.id}`])
    await expect(expectInvariants(line, [{ batch: lost }], { within: 150 })).rejects.toThrow(
      `I1 ${lost.id}: it was accepted, and the ledger does not know it`,
    )
  })
})
