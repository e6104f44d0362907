import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy } from '@rates/testing/fault-proxy'
import { expectInvariants } from '@rates/testing/invariants'
import { cancelBatch } from '@rates/service/produce-batch'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { named, startObjectLine, type HeldReading, type ObjectLine } from './test-objects.ts'
import { startTestWorker } from './test-worker.ts'

let line: ObjectLine

beforeAll(async () => {
  line = await startObjectLine()
  const proxy = await startFaultProxy(line.databaseUrl)
  line.defer(() => proxy.close())
  database = proxy
  await startTestWorker(line, { ...line.settings, DATABASE_URL: proxy.url, OBJECT_REFUSED_SECONDS: '3' })
}, 600_000)
afterAll(() => line?.close())
beforeEach(() => line.door.answer(undefined))

let database: Awaited<ReturnType<typeof startFaultProxy>>
const compared = () => false

/** Asks for a large object, and holds its reading in the middle, when chunks of it are stored. */
async function held(
  batch: TestBatch,
  headers: Record<string, string> = {},
): Promise<{ key: string; reading: HeldReading }> {
  const key = `${batch.id}.csv`
  const body = csv(batch.lines)
  await line.put(key, body)
  const reading = line.door.hold(Math.floor(body.length * 0.8))
  await line.claim({ key }, { ...named(batch), ...headers })
  await reading.reached
  await eventually(
    async () =>
      ((
        await line.pool.query('select from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1', [
          batch.id,
        ])
      ).rowCount ?? 0) > 1,
    { within: 30_000, what: 'chunks being stored' },
  )
  return { key, reading }
}

async function expectFailed(batch: TestBatch, error: string, message: RegExp): Promise<void> {
  const reply = await line.reply(batch.id, 40_000)
  expect(reply).toMatchObject({ state: 'failed', error: { code: error, message: expect.stringMatching(message) } })
  await expectInvariants(line, [{ batch, state: 'failed', error }], { compared })
}

const last = async () => (await line.loads()).at(-1)!

describe('while it is read', () => {
  it('an object changes: its batch fails, and the new object is not told to have failed', async () => {
    const batch = testBatch(200_000)
    const { key, reading } = await held(batch)
    await line.put(key, csv(batch.lines.toReversed()))
    reading.cut()
    await expectFailed(batch, 'object_changed', /changed while it was read/)
    await eventually(async () => (await line.loads()).every(({ state }) => state === 'ended'), { within: 20_000 })
    expect((await line.tags(key))['rates-state']).not.toBe('failed')
  })

  it('an object is deleted: its batch fails', async () => {
    const batch = testBatch(200_000)
    const { key, reading } = await held(batch)
    await line.store.client.send(new DeleteObjectCommand({ Bucket: line.bucket, Key: key }))
    reading.cut()
    await expectFailed(batch, 'object_not_found', /any more/)
  })

  it('its connection breaks: it is read on', async () => {
    const batch = testBatch(200_000)
    const { reading } = await held(batch)
    reading.cut()
    await line.reply(batch.id, 40_000)
    await expectInvariants(line, [{ batch }], { compared })
  })

  it('its batch is cancelled: the reading ends at once, and the object is tagged so', async () => {
    const batch = testBatch(200_000)
    const { key, reading } = await held(batch)
    await cancelBatch(line.producer, line.topics, { batchId: batch.id })
    await reading.left
    await line.reply(batch.id)
    await expectInvariants(line, [{ batch, state: 'cancelled', error: 'cancelled' }], { compared })
    await line.tagged(key, 'cancelled')
  })

  it('its deadline passes: the reading ends', async () => {
    const batch = testBatch(200_000)
    const { reading } = await held(batch, { deadline: new Date(Date.now() + 6_000).toISOString() })
    await reading.left
    await expectFailed(batch, 'deadline_passed', /not complete at/)
  })

  it('PostgreSQL is away: it is waited for', async () => {
    const batch = testBatch(200_000)
    const { reading } = await held(batch)
    database.down()
    reading.goOn()
    await eventually(() => Promise.resolve(database.refused() > 3), { within: 30_000, what: 'PostgreSQL being missed' })
    database.up()
    await line.reply(batch.id, 60_000)
    await expectInvariants(line, [{ batch }], { compared })
    expect(await last()).toMatchObject({ attempts: 0, quarantined: false })
  })
})

describe('a store', () => {
  const waits = (note: RegExp) =>
    eventually(async () => note.test((await last()).note ?? ''), { within: 30_000, what: `waiting for ${note}` })

  it('that is away is waited for, and says why', async () => {
    const batch = testBatch(100)
    await line.put('away.csv', csv(batch.lines))
    line.door.down()
    await line.claim({ key: 'away.csv' }, named(batch))
    await waits(/ECONNRE|hang up/)
    line.door.up()
    await line.reply(batch.id, 60_000)
    await expectInvariants(line, [{ batch }], { compared })
  })

  it('that answers by faults of its own is waited for', async () => {
    const batch = testBatch(100)
    await line.put('faulty.csv', csv(batch.lines))
    line.door.answer(() => 503)
    await line.claim({ key: 'faulty.csv' }, named(batch))
    await waits(/503/)
    line.door.answer(undefined)
    await line.reply(batch.id, 60_000)
    await expectInvariants(line, [{ batch }], { compared })
  })

  it('that refuses credentials which are mended in time: nothing fails', async () => {
    const batch = testBatch(100)
    await line.put('rotated.csv', csv(batch.lines))
    await line.setSecret('another')
    await line.claim({ key: 'rotated.csv' }, named(batch))
    await waits(/refuses/)
    await line.setSecret(line.store.credentials.secretAccessKey)
    await line.reply(batch.id, 60_000)
    await expectInvariants(line, [{ batch }], { compared })
  })

  it('that goes on refusing them: the batch fails', async () => {
    const batch = testBatch(100)
    await line.put('refused.csv', csv(batch.lines))
    await line.setSecret('another')
    await line.claim({ key: 'refused.csv' }, named(batch))
    await expectFailed(batch, 'object_refused', /the store refuses s3:.* for \d+ s/)
    await line.setSecret(line.store.credentials.secretAccessKey)
  })

  it('that lets us look, and not read: the batch fails, and nothing is waited for without end', async () => {
    const batch = testBatch(100)
    await line.put('sealed.csv', csv(batch.lines))
    line.door.answer(({ method, url }) => (method === 'GET' && !url!.includes('tagging') ? 403 : undefined))
    await line.claim({ key: 'sealed.csv' }, named(batch))
    await expectFailed(batch, 'object_refused', /the store refuses s3:.*sealed.csv.* for \d+ s/)
  })

  it('that takes no such key: the batch fails at once, and we are not told to be refused', async () => {
    const batch = testBatch(100)
    line.door.answer(({ method, url }) => (method === 'HEAD' && url!.includes('unnameable') ? 400 : undefined))
    await line.claim({ key: 'unnameable.csv' }, named(batch))
    await expectFailed(batch, 'object_not_found', /unnameable.csv/)
    expect(await last()).toMatchObject({ waits: 0 })
  })

  it('that has a mark of deletion for a version: the batch fails at once', async () => {
    const batch = testBatch(100)
    line.door.answer(({ method, url }) => (method === 'HEAD' && url!.includes('versionId') ? 405 : undefined))
    await line.claim({ key: 'marked.csv', versionId: 'mark' }, named(batch))
    await expectFailed(batch, 'object_not_found', /marked.csv/)
    expect(await last()).toMatchObject({ waits: 0 })
  })

  it('that understands nothing: we are refused, whatever the key', async () => {
    const batch = testBatch(100)
    await line.put('region.csv', csv(batch.lines))
    line.door.answer(({ method }) => (method === 'HEAD' ? 400 : undefined))
    await line.claim({ key: 'region.csv' }, named(batch))
    await waits(/400/)
    line.door.answer(undefined)
    await line.reply(batch.id, 60_000)
    await expectInvariants(line, [{ batch }], { compared })
  })

  it('that is slow to tag: what failed is not told to be loading', async () => {
    const batch = testBatch(100)
    await line.put('slow.csv', gzipSync(csv(batch.lines)).subarray(0, -9))
    let isFirst = true
    const released = new Promise<void>((resolve) =>
      line.door.answer(async (request) => {
        if (!isFirst || request.method !== 'PUT') return undefined
        isFirst = false
        const left = once(request.socket, 'close').then(() => 503)
        const failed = line.tagged('slow.csv', 'failed').then(() => undefined)
        const status = await Promise.race([left, failed])
        resolve()
        return status
      }),
    )
    await line.claim({ key: 'slow.csv', contentEncoding: 'gzip' }, named(batch))
    await released
    await expectFailed(batch, 'object_unreadable', /it ends in the middle/)
    await line.tagged('slow.csv', 'failed')
    await eventually(
      async () => (await line.pool.query('select from object_loads where tag_at is not null')).rowCount === 0,
      {
        within: 20_000,
      },
    )
    expect(await line.tags('slow.csv')).toMatchObject({ 'rates-state': 'failed' })
  })

  it('that takes no tags: the batch is what it is, and the tag comes later', async () => {
    const batch = testBatch(100)
    await line.put('untagged.csv', csv(batch.lines))
    line.door.answer(({ method, url }) => (method === 'PUT' && url!.includes('tagging') ? 403 : undefined))
    await line.claim({ key: 'untagged.csv' }, named(batch))
    expect(await line.reply(batch.id)).toMatchObject({ state: 'succeeded' })
    const refused = async () =>
      (await line.pool.query(`select from object_loads where object_key = 'untagged.csv' and tag_attempts > 0`))
        .rowCount === 1
    await eventually(refused, { within: 20_000, what: 'a tag being refused' })
    line.door.answer(undefined)
    await line.pool.query('update object_loads set tag_at = clock_timestamp() where tag_at is not null')
    expect(await line.tagged('untagged.csv', 'succeeded')).toMatchObject({ 'rates-batch': batch.id })
  })
})
