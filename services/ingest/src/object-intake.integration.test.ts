import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { objectBatchId } from '@rates/service/object-batch-id'
import { cancelBatch } from '@rates/service/produce-batch'
import { groupNames } from '@rates/service/topics'
import { chunkRecords, csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { seenReply, startLine, type Line, type Watched } from '@rates/testing/line'
import kafkajs from 'kafkajs'
import { failObject } from './object-intake.ts'
import { testRequests } from './test-requests.ts'
import { startTestWorker } from './test-worker.ts'

// How objects are asked for, by claims and by notifications. The store is away all the time: what a loader does once it
// is back is done by the tests.

let line: Line
let teamTopic: string
let team: Watched
/** Nothing is kept of its request. */
let contradicting: { key: string }
let stopWorkers: () => Promise<void>
let settings: Record<string, string>
const folder = mkdtempSync(join(tmpdir(), 'rates-keys-'))

beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  teamTopic = `${line.prefix}team.replies`
  await line.admin.createTopic(teamTopic, 1, 1, {})
  team = await line.watch(teamTopic)
  const key = join(folder, 'key')
  writeFileSync(key, 'key')
  settings = {
    OBJECT_BUCKETS: 'prices,others',
    REPLY_TOPICS: teamTopic,
    CHUNK_TIMEOUT_SECONDS: '2',
    S3_ENDPOINT: 'http://127.0.0.1:9',
    S3_ACCESS_KEY_ID_FILE: key,
    S3_SECRET_ACCESS_KEY_FILE: key,
  }
  const workers = await Promise.all([startTestWorker(line, settings), startTestWorker(line, settings)])
  stopWorkers = async () => void (await Promise.all(workers.map((worker) => worker.stop())))
})
afterAll(async () => {
  await line.close()
  rmSync(folder, { recursive: true })
})

const { object, unpinned, claim, event, rowsOf, noted, batchOf, found, bind, load, quiet, refusedWith } = testRequests(
  () => line,
)

const teamReplies = async (id: string) =>
  (await team.all()).filter(({ headers }) => headers.get('batch-id') === id).map(seenReply)

describe('a claim', () => {
  it('opens its batch, which waits for a loader, and whose chunks fit', async () => {
    const batch = testBatch(600, { id: 'claimed' })
    const what = object()
    const headers = { 'batch-id': batch.id, source: 'acme', deadline: '2199-01-01T00:00:00Z', 'correlation-id': 'c' }
    await line.send([claim(what, { ...headers, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })])
    const [row] = await noted(what)
    expect(row).toMatchObject({ id: batch.id, state: 'waiting', repeats: false, headers: { batchId: batch.id } })
    expect(await batchOf(batch.id)).toEqual({ state: 'open', error: null, topic: null })
    expect(await bind(row!.no)).toMatchObject({ kind: 'load', batch: { id: batch.id }, headers: row!.headers })
    await load(row!.headers, batch)
    expect(await line.reply(batch.id)).toMatchObject({ correlationId: 'c', source: 'acme' })
    await quiet()
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    // Once more, now that it has ended: the same answer.
    await line.send([claim(what, headers)])
    const replies = await eventually(async () => {
      const seen = await line.replies(batch.id)
      return seen.length >= 2 && seen
    })
    expect(new Set(replies.map(({ id, bytes }) => id + bytes)).size).toBe(1)
    const [, again] = await noted(what, 2)
    expect(again).toMatchObject({ id: batch.id, repeats: true, state: 'ended', tagged: true })
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('that comes again while its batch is loaded is the same one', async () => {
    const what = object()
    await line.send([claim(what, { 'batch-id': 'twice' }), claim(what, { 'batch-id': 'twice' })])
    const rows = await noted(what, 2)
    expect(rows.map(({ id }) => id)).toEqual(['twice', 'twice'])
    expect(rows.filter(({ repeats }) => repeats)).toHaveLength(1)
    expect(await batchOf('twice')).toMatchObject({ state: 'open' })
  })

  it('without an id, but with an ETag, is the batch of that object', async () => {
    const what = object()
    await line.send([claim(what), claim({ ...what, etag: `"${what.etag}"`, contentType: 'text/csv' })])
    const rows = await noted(what, 2)
    expect(rows.map(({ id }) => id)).toEqual([objectBatchId(what), objectBatchId(what)])
  })

  it('with neither has its batch once its object was looked at', async () => {
    const { etag, ...what } = object()
    await line.send([claim(what, { source: 'acme' }), claim(what, { source: 'acme' })])
    const [first, second] = await noted(what, 2)
    expect([first!.id, second!.id]).toEqual([null, null])
    const id = objectBatchId({ ...what, etag })
    expect(await bind(first!.no, found(etag))).toMatchObject({ kind: 'load', headers: { batchId: id, source: 'acme' } })
    expect(await bind(first!.no, found(etag))).toMatchObject({ kind: 'load', headers: { batchId: id, source: 'acme' } })
    expect(await bind(second!.no, found(etag))).toEqual({ kind: 'repeat' })
    expect(await bind(second!.no, found(etag))).toEqual({ kind: 'repeat' })
    const batch = { ...testBatch(300), id }
    await load((await rowsOf(what))[0]!.headers, batch)
    await line.reply(id)
    await quiet()
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('with neither, whose object cannot be had, is a batch of its own', async () => {
    const { bucket, key } = object()
    await line.send([claim({ bucket, key })])
    const [row] = await noted({ key })
    expect(await bind(row!.no)).toMatchObject({
      kind: 'load',
      headers: { batchId: expect.stringMatching(/batches-\d-\d+-\d{13}$/) },
    })
  })

  it('is a dry run beside the real one', async () => {
    const what = object()
    await line.send([claim(what, { 'dry-run': 'true' }), claim(what)])
    await noted(what, 2)
    const id = objectBatchId(what)
    expect(await batchOf(id)).toMatchObject({ state: 'open' })
    expect(await batchOf(id, true)).toMatchObject({ state: 'open' })
  })

  const contradictions: [string, (what: ReturnType<typeof object>) => object, Record<string, string>][] = [
    ['key', (what) => ({ ...what, key: 'other.csv' }), {}],
    ['bucket', (what) => ({ ...what, bucket: 'others' }), {}],
    ['etag', (what) => ({ ...what, etag: 'other' }), {}],
    ['sha256', (what) => ({ ...what, sha256: 'f'.repeat(64) }), {}],
    ['contentType', (what) => ({ ...what, contentType: 'application/x-ndjson' }), {}],
    ['source', (what) => what, { source: 'other' }],
    ['deadline', (what) => what, { source: 'acme', deadline: '2199-01-01T00:00:00Z' }],
  ]
  it.each(contradictions)('with another %s under its id is a conflict', async (name, change, more) => {
    const what = { ...object(), sha256: 'e'.repeat(64), contentType: 'text/csv' }
    const id = `conflict-${name}`
    await line.send([claim(what, { 'batch-id': id, source: 'acme' })])
    await noted(what)
    await line.send([claim(change(what), { 'batch-id': id, source: 'acme', ...more })])
    const message = await refusedWith(id, 'id_conflict')
    expect(message).toContain(name === 'key' || name === 'bucket' ? 'its object is' : name)
    expect(await batchOf(id)).toMatchObject({ state: 'open' })
    const { rowCount } = await line.pool.query(
      `select from object_loads where headers ->> 'batchId' = $1 or object_key = 'other.csv'`,
      [id],
    )
    expect(rowCount).toBe(1)
  })

  it('under the id of a batch that came in chunks is a conflict', async () => {
    const batch = testBatch(20)
    await line.send([
      {
        topic: line.topics.batches,
        headers: { 'batch-id': batch.id, 'content-type': 'text/csv' },
        value: csv(batch.lines),
      },
    ])
    await line.reply(batch.id)
    const what = object()
    await line.send([claim(what, { 'batch-id': batch.id })])
    expect(await refusedWith(batch.id, 'id_conflict')).toContain('came in chunks')
    expect(await rowsOf(what)).toEqual([])
    expect(await factsOf(line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
  })

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['no bucket', { key: 'a' }, 'bucket is missing'],
    ['a field too many', { bucket: 'prices', key: 'a', url: 'file:///' }, 'is no field'],
  ])('that cannot be read (%s) fails its batch', async (name, what, message) => {
    const id = `bad-${name.replaceAll(' ', '-')}`
    await line.send([claim(what, { 'batch-id': id, 'reply-to': teamTopic })])
    const reply = (await eventually(async () => (await teamReplies(id))[0])).reply
    expect(reply).toMatchObject({ state: 'failed', error: { code: 'unreadable' } })
    expect(reply.error!.message).toContain(message)
  })

  it('under the id of one that could not be read is told that its id is used up', async () => {
    const what = object()
    await line.send([claim('{', { 'batch-id': 'corrected' })])
    expect(await line.reply('corrected')).toMatchObject({ error: { code: 'unreadable' } })
    await line.send([claim(what, { 'batch-id': 'corrected' })])
    expect(await refusedWith('corrected', 'id_conflict')).toBe('its id is used up: the batch that has it has failed')
    expect(await rowsOf(what)).toEqual([])
  })

  it('that cannot be read and names no batch is answered by its place', async () => {
    await line.send([claim('[]', { 'correlation-id': 'by place' })])
    const { rows } = await eventually(async () => {
      const answers = await line.pool.query<{ id: string }>(
        `select batch_id as id from outbox where correlation_id = 'by place' and body::text like '%unreadable%'`,
      )
      return answers.rowCount === 1 && answers
    })
    expect(rows[0]!.id).toMatch(/batches-\d-\d+-\d{13}$/)
  })
})

describe('a request that is not allowed', () => {
  it('to have a bucket fails, and its store is not asked', async () => {
    const what = { ...object(), bucket: 'foreign' }
    const record = claim(what, { 'reply-to': teamTopic })
    await line.send([record])
    const id = objectBatchId(what)
    const { reply } = await eventually(async () => (await teamReplies(id))[0])
    expect(reply).toMatchObject({ state: 'failed', error: { code: 'bucket_not_allowed' } })
    await line.send([record])
    const [row, again] = await noted(what, 2)
    expect(row).toMatchObject({ id, state: 'ended', tagged: false })
    expect(again).toMatchObject({ id, state: 'ended', repeats: true, tagged: false })
  })

  it('of which a store tells, that has other buckets, too, is none', async () => {
    const [foreign, ours] = [{ ...object(), bucket: 'claims' }, object()]
    await line.send([event(foreign, ours)])
    await noted(ours)
    await quiet()
    expect(await rowsOf(foreign)).toEqual([])
    expect(await batchOf(objectBatchId(foreign))).toBeUndefined()
  })

  it('to be answered where it wants fails by the default topic', async () => {
    const what = object()
    await line.send([claim(what, { 'batch-id': 'elsewhere', 'reply-to': 'else.where' })])
    expect(await line.reply('elsewhere')).toMatchObject({ state: 'failed', error: { code: 'reply_to_not_allowed' } })
    expect(await noted(what)).toMatchObject([{ id: 'elsewhere', state: 'ended' }])
  })
})

describe('while the store is away', () => {
  const states = (id: string) =>
    eventually(async () => ((await batchOf(id))?.state === 'open' ? undefined : batchOf(id)))

  it('a batch may be cancelled, also before its claim comes', async () => {
    const [one, other] = [object(), object()]
    await line.send([claim(one, { 'batch-id': 'cancelled-1' })])
    await noted(one)
    await cancelBatch(line.producer, line.topics, { batchId: 'cancelled-1' })
    await cancelBatch(line.producer, line.topics, { batchId: 'cancelled-2' })
    expect(await line.reply('cancelled-1')).toMatchObject({ state: 'cancelled' })
    expect(await line.reply('cancelled-2')).toMatchObject({ state: 'cancelled' })
    await line.send([claim(other, { 'batch-id': 'cancelled-2', source: 'acme' })])
    expect(await noted(other)).toMatchObject([{ id: 'cancelled-2', state: 'ended', repeats: true }])
    expect(await line.deadLetters('cancelled-2')).toEqual([])
  })

  it('a batch fails at its deadline, also before its object was looked at', async () => {
    const [one, other, patient] = [object(), unpinned(), unpinned()]
    const deadline = new Date(Date.now() + 500).toISOString()
    await line.send([
      claim(one, { deadline }),
      claim(other, { deadline, 'correlation-id': 'never looked at' }),
      claim(patient, { deadline, 'on-deadline': 'flag' }),
    ])
    expect(await states(objectBatchId(one))).toMatchObject({ state: 'failed', error: 'deadline_passed' })
    const [row] = await eventually(async () => {
      const rows = await rowsOf(other)
      return rows[0]?.id != null && rows
    })
    expect(await line.reply(row!.id!)).toMatchObject({
      correlationId: 'never looked at',
      error: { code: 'deadline_passed' },
    })
    expect(await noted(patient)).toMatchObject([{ id: null, state: 'waiting' }])
  })

  it('one whose batch cannot be opened keeps back no other at its deadline', async () => {
    const deadline = new Date(Date.now() - 1_000).toISOString()
    const { rows } = await line.pool.query<{ no: bigint }>(
      `insert into object_loads (place, origin, requested_at, bucket, object_key, headers)
       values ('broken', 'claim', now(), 'prices', 'broken', $1) returning no`,
      [JSON.stringify({ deadline, dryRun: 'perhaps' })],
    )
    await line.send([claim(unpinned(), { deadline, 'correlation-id': 'behind a broken one' })])
    await eventually(async () => {
      const late = `select from outbox where correlation_id = 'behind a broken one' and body::text like '%deadline_passed%'`
      return (await line.pool.query(late)).rowCount === 1
    })
    await line.pool.query('delete from object_loads where no = $1', [rows[0]!.no])
  })

  it('a batch is not incomplete, however long; once all is sent it is', async () => {
    const what = object()
    await line.send([claim(what, { 'batch-id': 'waits' }), claim(object(), { 'batch-id': 'sentinel' })])
    await noted(what)
    // It is older than the time limit, and the sweeper has looked since.
    const age = `update batches set created_at = clock_timestamp() - interval '1 hour' where id = $1`
    await line.pool.query(age, ['waits'])
    const batch = testBatch(300)
    const [first] = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 3 })
    await line.send([first!])
    expect(await line.reply(batch.id)).toMatchObject({ error: { code: 'incomplete' } })
    expect(await batchOf('waits')).toMatchObject({ state: 'open' })
    const sentAt = Date.now()
    await line.pool.query(`update object_loads set state = 'sent', sent_at = clock_timestamp() where object_key = $1`, [
      what.key,
    ])
    expect(await line.reply('waits')).toMatchObject({ error: { code: 'incomplete' } })
    expect(Date.now() - sentAt).toBeGreaterThan(2_000)
  })
})

describe('a notification', () => {
  it('is a row for each new object, which waits for a loader', async () => {
    const [a, b] = [object(), object()]
    await line.send([event(a, { ...object(), size: 0 }, b)])
    expect(await noted(a)).toMatchObject([{ id: null, state: 'waiting', repeats: false, headers: {} }])
    expect(await noted(b)).toMatchObject([{ id: null, state: 'waiting' }])
  })

  it('and another one of the same object, and a claim, are one batch, which has the headers of its metadata', async () => {
    const what = object()
    await line.send([event(what)])
    await noted(what)
    await line.send([event(what, what)])
    const rows = await noted(what, 3)
    const metadata = { 'rates-source': 'acme', 'rates-reply-to': teamTopic }
    const id = objectBatchId(what)
    expect(await bind(rows[1]!.no, found(what.etag, metadata))).toMatchObject({
      kind: 'load',
      headers: { batchId: id, source: 'acme', replyTo: teamTopic },
    })
    expect(await bind(rows[0]!.no, found(what.etag, metadata))).toEqual({ kind: 'repeat' })
    await line.send([claim(what, { source: 'acme', 'reply-to': teamTopic })])
    await noted(what, 4)
    const batch = { ...testBatch(300), id }
    await load((await rowsOf(what))[1]!.headers, batch)
    expect((await eventually(async () => (await teamReplies(id))[0])).reply).toMatchObject({ state: 'succeeded' })
    expect(await bind(rows[2]!.no, found(what.etag))).toEqual({ kind: 'repeat' })
    await eventually(async () => (await teamReplies(id)).length === 2)
    expect((await rowsOf(what)).map(({ repeats }) => repeats)).toEqual([true, false, true, true])
  })

  it('of an object that is another one by then fails as the object that it told of', async () => {
    const what = object()
    await line.send([event(what)])
    const [row] = await noted(what)
    expect(await bind(row!.no)).toMatchObject({ kind: 'load', headers: { batchId: objectBatchId(what) } })
  })

  it.each([
    ['a header that breaks its rule', { 'rates-deadline': 'soon' }, 'object_unreadable'],
    ['a reply-to that is not allowed', { 'rates-reply-to': 'else.where' }, 'reply_to_not_allowed'],
  ])('of an object with %s fails', async (_, metadata, code) => {
    const what = object()
    await line.send([event(what)])
    const [row] = await noted(what)
    const id = objectBatchId(what)
    expect(await bind(row!.no, found(what.etag, metadata))).toMatchObject({ kind: 'failed', error: { code } })
    expect(await line.reply(id)).toMatchObject({ state: 'failed', error: { code } })
    expect(await rowsOf(what)).toMatchObject([{ id, state: 'ended' }])
  })

  it("of an object that names another one's batch is a conflict", async () => {
    const [what, other] = [object(), object()]
    await line.send([claim(what, { 'batch-id': 'taken' }), event(other)])
    await noted(what)
    const [row] = await noted(other)
    const seen = found(other.etag, { 'rates-batch-id': 'taken', 'rates-reply-to': teamTopic })
    expect(await bind(row!.no, seen)).toMatchObject({ kind: 'conflict', batchId: 'taken' })
    const { reply } = await eventually(async () => (await teamReplies('taken'))[0])
    expect(reply).toMatchObject({ state: 'id_conflict', error: { message: expect.stringContaining(other.key) } })
    expect(await rowsOf(other)).toEqual([])
    contradicting = other
    expect(await batchOf('taken')).toMatchObject({ state: 'open' })
  })

  it('that cannot be read goes to the dead letters and stops nothing', async () => {
    const [before, after] = [object(), object()]
    const broken = { topic: line.topics.objects, headers: {}, value: Buffer.from('{"Records": [') }
    const half = event(before, { bucket: 'prices' })
    for (const record of [broken, half, { ...broken, value: null }, event(after)]) await line.send([record])
    await noted(before)
    await noted(after)
    const letters = await eventually(async () => {
      const all = await line.deadLetters()
      const ours = all.filter(({ headers }) => headers.get('dead-letter-topic') === line.topics.objects)
      return ours.length >= 3 && ours
    })
    expect(letters.map(({ headers }) => headers.get('dead-letter-reason'))).toEqual(Array(3).fill('not_an_event'))
    expect(letters.some(({ headers }) => headers.get('dead-letter-detail') === 'its record 1: key is missing')).toBe(
      true,
    )
  })
})

describe('a record that ends its workers', () => {
  it('fails its batch, whether its row is there or not', async () => {
    const error = { code: 'internal_error', message: 'poison' } as const
    const replies = { replies: line.topics.replies, allowed: [line.topics.replies], webhooks: null }
    const [bound, unbound] = [object(), unpinned()]
    for (const [place, what] of [
      ['poison-1', bound],
      ['poison-2', unbound],
    ] as const) {
      const request = { place, origin: 'claim', at: new Date(), claim: what, headers: {} } as const
      await failObject(line.pool, request, error, { replies })
      await failObject(line.pool, request, error, { replies })
      const id = 'etag' in what ? objectBatchId(bound) : place
      expect(await line.reply(id)).toMatchObject({ error: { code: 'internal_error' } })
    }
  })
})

describe('groups that read everything again', () => {
  it('find a row for each request, and change nothing', async () => {
    const all = async (): Promise<unknown> => {
      const { rows } = await line.pool.query(
        `select (select jsonb_agg(to_jsonb(b) order by no) from batches b where state <> 'open') as batches,
           (select jsonb_agg(jsonb_build_array(place, batch_no, repeats, headers) order by no) from object_loads) as loads,
           (select jsonb_agg(jsonb_build_array(reply_id, topic, body) order by no) from outbox) as outbox`,
      )
      return rows[0]
    }
    await quiet()
    await stopWorkers()
    const before = await all()
    const admin = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    const { batches, bulk, objects } = groupNames(line.prefix)
    await admin.deleteGroups([batches, bulk, objects])
    await admin.disconnect()
    await startTestWorker(line, { ...settings, CHUNK_TIMEOUT_SECONDS: '900' })
    const last = object()
    await line.send([event(last), claim(last)])
    await noted(last, 2)
    await quiet()
    const rows = [...(await rowsOf(last)), ...(await noted(contradicting))]
    await line.pool.query('delete from object_loads where no = any($1)', [rows.map(({ no }) => no)])
    expect(await all()).toEqual(before)
  })
})
