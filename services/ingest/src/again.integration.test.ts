import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Reply } from '@rates/core/batch'
import { chunkRecords, csv, sha256Hex, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants, type Sent } from '@rates/testing/invariants'
import { backlog, factsOf, leftovers, succeeded } from '@rates/testing/facts'
import { seenReply, startLine, type Line, type Watched } from '@rates/testing/line'
import kafkajs from 'kafkajs'
import { startTestWorker } from './test-worker.ts'

// What comes again, late, out of order or under an id that is taken (design rules 2, 7 and 8).

let line: Line
let teamTopic: string
let team: Watched
let stopWorkers: () => Promise<void>
/** Everything that the tests have sent, and what has to have become of it in the end. */
const sent: Sent[] = []
const accept = (batch: TestBatch, end: Omit<Sent, 'batch'> = {}): TestBatch => {
  sent.push({ batch, ...end })
  return batch
}

beforeAll(async () => {
  line = await startLine()
  teamTopic = `${line.prefix}team.replies`
  await line.admin.createTopic(teamTopic, 1, 1, {})
  team = await line.watch(teamTopic)
  const allowed = { REPLY_TOPICS: teamTopic }
  const workers = await Promise.all([startTestWorker(line, allowed), startTestWorker(line, allowed)])
  stopWorkers = async () => void (await Promise.all(workers.map((worker) => worker.stop())))
})
afterAll(() => line.close())

const quiet = async (): Promise<void> => {
  await eventually(async () => (await backlog(line)) === 0n, { what: 'the backlog reaching zero' })
  await eventually(async () => (await leftovers(line)).unsent === 0, { what: 'the outbox being sent' })
}

/** Everything that the database holds of a batch, or of all, to see that nothing changed. */
async function ledger(id?: string): Promise<unknown> {
  const { rows } = await line.pool.query(
    `with b as (select * from batches where id = $1 or $1 is null)
     select (select jsonb_agg(to_jsonb(b) order by no) from b) as batches,
       (select jsonb_agg(to_jsonb(c) order by batch_no, chunk) from batch_chunks c where batch_no in (select no from b)) as chunks,
       (select jsonb_agg(to_jsonb(p) order by batch_no, orig, dest, month, prices) from price_packs p
        where batch_no in (select no from b)) as packs,
       (select jsonb_agg(to_jsonb(h)) from hidden_batches h where batch_no in (select no from b)) as hidden`,
    [id],
  )
  return rows[0]
}

const whole = (batch: { id: string; lines: string[] }, more: Record<string, string> = {}) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...more },
  value: csv(batch.lines),
})

describe('chunks that come otherwise than they were cut', () => {
  it('are one batch in any order', async () => {
    const batch = accept(testBatch(2_000))
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, {
      chunks: 7,
      total: 'last',
    })
    for (const at of [6, 3, 0, 5, 1, 4, 2]) await line.send([records[at]!])
    await line.reply(batch.id)
    await quiet()
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('are applied once, however often they come before the end', async () => {
    const batch = accept(testBatch(900))
    const [first, second, third] = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, {
      chunks: 3,
    })
    await line.send([first!, first!, second!, first!, second!])
    await quiet()
    expect(await factsOf(line, batch)).toMatchObject({ state: 'open', visible: 'nothing', replies: [] })
    await line.send([third!, third!])
    await line.reply(batch.id)
    await quiet()
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('are complete once one is sent again that tells how many there are', async () => {
    const batch = accept(testBatch(200))
    const untold = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, {
      chunks: 2,
      total: 'none',
    })
    await line.send(untold)
    await quiet()
    expect(await factsOf(line, batch)).toMatchObject({ state: 'open', visible: 'nothing', replies: [] })
    const told = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, {
      chunks: 2,
      total: 'last',
    })
    await line.send([told[1]!])
    await line.reply(batch.id)
    await quiet()
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('interleave with those of other batches', async () => {
    const batches = Array.from({ length: 6 }, () => accept(testBatch(600)))
    const all = await Promise.all(
      batches.map(({ id, lines }) => chunkRecords(line.topics.batches, { batchId: id }, lines, { chunks: 4 })),
    )
    for (let chunk = 0; chunk < 4; chunk++) await line.send(all.map((records) => records[chunk]!))
    for (const { id } of batches) await line.reply(id)
    await quiet()
    for (const batch of batches) expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })
})

describe('a whole batch that is sent once more', () => {
  it.each(['in one record', 'in three chunks'])('%s gets its stored reply again: same id, same bytes', async (how) => {
    const batch = accept(testBatch(300))
    const records =
      how === 'in one record'
        ? [whole(batch)]
        : await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 3, total: 'last' })
    await line.send(records)
    await line.reply(batch.id)
    await quiet()
    const before = await ledger(batch.id)
    await line.send(records)
    const replies = await eventually(async () => {
      const seen = await line.replies(batch.id)
      return seen.length >= 2 && seen
    })
    await quiet()
    expect(new Set(replies.map(({ id, bytes }) => id + bytes)).size).toBe(1)
    expect(await ledger(batch.id)).toEqual(before)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('without an id is a batch of its own each time', async () => {
    const batch = testBatch(50)
    const record = { topic: line.topics.batches, headers: {}, value: csv(batch.lines) }
    await line.send([record])
    await line.send([record])
    const doubled = { ...batch, lines: [...batch.lines, ...batch.lines] }
    const { rows } = await eventually(async () => {
      const found = await line.pool.query<{
        id: string
        topic: string
        partition: number
        record_offset: bigint
        at: string
      }>(
        `select b.id, c.topic, c.partition, c.record_offset, extract(epoch from c.record_time) * 1000 as at
         from batches b join batch_chunks c on c.batch_no = b.no where c.sha256 = decode($1, 'hex')`,
        [sha256Hex(csv(batch.lines))],
      )
      return found.rowCount === 2 && found
    })
    for (const { id, topic, partition, record_offset, at } of rows) {
      expect(id).toBe(`${topic}-${partition}-${record_offset}-${Number(at)}`)
    }
    expect(await factsOf(line, doubled)).toMatchObject({ visible: 'all' })
  })

  it('after it failed is told so again, and nothing of it becomes visible', async () => {
    const batch = accept(testBatch(20), { state: 'failed', error: 'rejected_rows' })
    batch.lines[7] = batch.lines[7]!.replace(/^...../, 'XXXXX')
    await line.send([whole(batch)])
    await line.reply(batch.id)
    await line.send([whole(batch)])
    const replies = await eventually(async () => {
      const seen = await line.replies(batch.id)
      return seen.length >= 2 && seen
    })
    expect(new Set(replies.map(({ id, bytes }) => id + bytes)).size).toBe(1)
    expect(await factsOf(line, batch)).toMatchObject({ state: 'failed', error: 'rejected_rows', visible: 'nothing' })
  })
})

describe('the same id with something else', () => {
  const cases: [string, (id: string) => { lines?: number; headers?: Record<string, string>; chunks?: string }][] = [
    ['other content', () => ({ lines: 40 })],
    ['another source', () => ({ headers: { source: 'somebody-else' } })],
    ['another deadline', () => ({ headers: { deadline: '2030-01-01T00:00:00Z' } })],
    ['another correlation id', () => ({ headers: { 'correlation-id': 'other' } })],
    ['something to replace', () => ({ headers: { replaces: 'whatever' } })],
  ]
  it.each(cases)('%s changes nothing: dead letter, and id_conflict to its own reply-to', async (_, other) => {
    const batch = testBatch(40)
    await line.send([whole(batch, { source: 'acme', 'reply-to': teamTopic })])
    await eventually(async () => (await team.all()).find(({ headers }) => headers.get('batch-id') === batch.id))
    await quiet()
    const before = await ledger(batch.id)
    const { lines = 0, headers = {} } = other(batch.id)
    const sent = lines > 0 ? testBatch(lines).lines : batch.lines
    await line.send([whole({ id: batch.id, lines: sent }, { source: 'acme', 'reply-to': teamTopic, ...headers })])
    const letter = await eventually(async () => (await line.deadLetters(batch.id))[0])
    await quiet()
    expect(await ledger(batch.id)).toEqual(before)
    expect(letter.headers.get('dead-letter-reason')).toBe('id_conflict')
    expect(Buffer.from(letter.value!)).toEqual(csv(sent))
    const replies = (await team.all()).filter(({ headers: h }) => h.get('batch-id') === batch.id).map(seenReply)
    expect(replies.map(({ reply }) => reply.state)).toEqual(['succeeded', 'id_conflict'])
    const conflict: Reply = replies[1]!.reply
    expect(conflict.error!.code).toBe('id_conflict')
    if (lines > 0) {
      expect(conflict.error!.message).toContain(sha256Hex(csv(batch.lines)))
      expect(conflict.error!.message).toContain(sha256Hex(csv(sent)))
    }
    expect(await line.replies(batch.id)).toEqual([])
    accept(batch, { requests: ['id_conflict'], replies })
  })

  it('another total, or a chunk past the total, changes nothing and the batch goes on', async () => {
    const batch = accept(testBatch(400), { requests: ['id_conflict', 'id_conflict'] })
    const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 4 })
    await line.send(records.slice(0, 3))
    await quiet()
    const before = await ledger(batch.id)
    const relabelled = (chunk: string, chunks: string) => ({
      ...records[3]!,
      headers: { ...records[3]!.headers, chunk, chunks },
    })
    await line.send([relabelled('3', '5'), relabelled('4', '5')])
    await eventually(async () => (await line.deadLetters(batch.id)).length === 2)
    expect(await ledger(batch.id)).toEqual(before)
    await line.send([records[3]!])
    await eventually(async () => (await line.replies(batch.id)).length === 3)
    await quiet()
    expect(await factsOf(line, batch)).toMatchObject({
      ...succeeded(batch),
      replies: expect.anything(),
      replied: expect.anything(),
    })
    const states = (await line.replies(batch.id)).map(({ reply }) => reply.state)
    expect(states.sort()).toEqual(['id_conflict', 'id_conflict', 'succeeded'])
  })

  it('a batch that cannot be read does not end the one that is loading', async () => {
    const batch = accept(testBatch(200), { requests: ['id_conflict'] })
    const [first, second] = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 2 })
    await line.send([first!])
    await quiet()
    await line.send([
      {
        topic: line.topics.batches,
        headers: { 'batch-id': batch.id, 'content-type': 'application/json' },
        value: Buffer.from('{"prices": ['),
      },
    ])
    await eventually(async () => (await line.deadLetters(batch.id))[0])
    await line.send([second!])
    await eventually(async () => (await line.replies(batch.id)).some(({ reply }) => reply.state === 'succeeded'))
    expect(await factsOf(line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
  })
})

async function forgetOffsets(): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.deleteGroups([line.groups.batches, line.groups.bulk])
  await admin.disconnect()
}

describe('a group that reads everything again', () => {
  it('applies nothing twice and answers nobody a second time', async () => {
    const unreadable = accept(testBatch(1), { state: 'failed', error: 'unreadable' })
    const cancelled = accept(testBatch(10), { state: 'cancelled', error: 'cancelled' })
    await line.send([
      {
        topic: line.topics.batches,
        headers: { 'batch-id': unreadable.id, 'content-type': 'application/json' },
        value: Buffer.from('{'),
      },
      { topic: line.topics.batches, headers: { 'batch-id': cancelled.id, control: 'cancel' }, value: null },
      { topic: line.topics.batches, headers: { 'batch-id': 'odd', chunk: 'x' }, value: csv(cancelled.lines) },
    ])
    await line.reply(unreadable.id)
    await line.reply(cancelled.id)
    await line.reply('odd')
    await expectInvariants(line, sent)
    await stopWorkers()
    const before = await ledger()
    const outbox = `select jsonb_agg(to_jsonb(o) order by no) as all from outbox o`
    const repliesBefore = (await line.pool.query(outbox)).rows
    await forgetOffsets()
    expect(await backlog(line)).toBeGreaterThan(50n)
    await startTestWorker(line, { REPLY_TOPICS: teamTopic })
    await quiet()
    expect(await ledger()).toEqual(before)
    // Repeated sends among them queue their stored replies again; not one reply is new.
    const withoutTime = (rows: unknown) =>
      JSON.parse(JSON.stringify(rows, (key, value: unknown) => (key === 'sent_at' ? undefined : value))) as unknown
    expect(withoutTime((await line.pool.query(outbox)).rows)).toEqual(withoutTime(repliesBefore))
    await expectInvariants(line, sent)
  })
})
