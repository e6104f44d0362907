import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type BatchHeaders } from '@rates/core/wire'
import { Stopped } from '@rates/service/kafka-consumer'
import { createLogger } from '@rates/service/log'
import { objectBatchId } from '@rates/service/object-batch-id'
import { cancelBatch } from '@rates/service/produce-batch'
import { chunkRecords, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { type IngestMetrics } from './metrics.ts'
import { OtherObject } from './object-content.ts'
import { ObjectDoor } from './object-door.ts'
import { lockObject } from './object-row.ts'
import { testRequests } from './test-requests.ts'
import { startTestWorker } from './test-worker.ts'

// One object that is asked for in several ways, and what comes in another order than it was sent in. The store is away
// all the time: what a loader does once it is back is done by the tests.

let line: Line
const folder = mkdtempSync(join(tmpdir(), 'rates-keys-'))
const { object, claim, event, rowsOf, noted, batchOf, found, bind, load, quiet, refusedWith } = testRequests(() => line)

beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  const key = join(folder, 'key')
  writeFileSync(key, 'key')
  await startTestWorker(line, {
    OBJECT_BUCKETS: 'prices',
    S3_ENDPOINT: 'http://127.0.0.1:9',
    S3_ACCESS_KEY_ID_FILE: key,
    S3_SECRET_ACCESS_KEY_FILE: key,
  })
})
afterAll(async () => {
  await line.close()
  rmSync(folder, { recursive: true })
})

/** Of a claim that names no batch. */
const conflictOf = async (id: string) => {
  const replies = () => line.replies(id).then((all) => all.map(({ reply }) => reply))
  const told = await eventually(async () => (await replies()).find(({ state }) => state === 'id_conflict'))
  return told.error!.message
}

/** No loader takes it any more. */
const keep = ({ key }: { key: string }) =>
  eventually(async () => {
    const later = `update object_loads set next_at = 'infinity' where object_key = $1 and state = 'waiting'`
    return ((await line.pool.query(later, [key])).rowCount ?? 0) > 0
  })

describe('the same object by several ways', () => {
  it('is the batch that a claim has named, when its store tells of it then', async () => {
    const what = object()
    await line.send([claim(what, { 'batch-id': 'named' }), event(what)])
    const rows = await noted(what, 2)
    const told = rows.find(({ id }) => id === null)!
    expect(await bind(told.no, found(what.etag, { 'rates-source': 'other' }))).toEqual({ kind: 'repeat' })
    expect((await rowsOf(what)).find(({ no }) => no === told.no)).toMatchObject({ id: 'named', repeats: true })
    // Also where the object cannot be had any more: it was told of, and is a batch.
    await line.send([event(what)])
    const again = (await noted(what, 3))[2]!
    expect(await bind(again.no)).toEqual({ kind: 'repeat' })
    expect(await batchOf(objectBatchId(what))).toBeUndefined()
  })

  it('is that batch, also where it has not pinned the object yet: it is now', async () => {
    const { etag, ...what } = object()
    await line.send([claim(what, { 'batch-id': 'named-unpinned' })])
    const [first] = await noted(what)
    await line.send([event({ ...what, etag })])
    const told = (await noted(what, 2))[1]!
    expect(await bind(told.no, found(etag))).toEqual({ kind: 'repeat' })
    await expect(bind(first!.no, found('another'))).rejects.toBeInstanceOf(OtherObject)
    expect(await bind(first!.no, found(etag))).toMatchObject({ kind: 'load', batch: { id: 'named-unpinned' } })
  })

  it('is one batch, whoever of them is first', async () => {
    for (let i = 0; i < 5; i++) {
      const { etag, ...what } = object()
      await line.send([event({ ...what, etag }), claim(what, { 'batch-id': `race-${i}` })])
      const rows = await noted(what, 2)
      const claimed = rows.find(({ id }) => id !== null)!
      const told = rows.find(({ id }) => id === null)!
      const seen = found(etag)
      await Promise.all([bind(claimed.no, seen), bind(told.no, seen)])
      expect((await rowsOf(what)).map(({ id }) => id)).toEqual([`race-${i}`, `race-${i}`])
    }
  })

  it('is bound, claimed and pinned by one at a time', async () => {
    const { etag, ...what } = object()
    await line.send([claim(what, { 'batch-id': 'one-at-a-time' }), event({ ...what, etag })])
    const rows = await noted(what, 2)
    const client = await line.pool.connect()
    try {
      await client.query('begin')
      await lockObject(client, what)
      const binding = Promise.all(rows.map(({ no }) => bind(no, found(etag))))
      await line.send([claim({ ...what, etag }, { 'batch-id': 'one-at-a-time' })])
      await eventually(async () => {
        const { rows: waiting } = await client.query(
          `select from pg_locks where locktype = 'advisory' and not granted
             and database = (select oid from pg_database where datname = current_database())`,
        )
        return waiting.length === 3
      })
      await client.query('commit')
      await binding
    } finally {
      client.release()
    }
    const bound = await noted(what, 3)
    expect(bound.map(({ id }) => id)).toEqual(Array(3).fill('one-at-a-time'))
    expect(bound.filter(({ repeats }) => !repeats)).toHaveLength(1)
  })

  it('is another batch where a claim names one, or where that one failed', async () => {
    const [what, other] = [object(), object()]
    await line.send([event(what), claim(other, { 'batch-id': 'failed-first' }), event(other)])
    const [told] = await noted(what)
    expect(await bind(told!.no, found(what.etag))).toMatchObject({ kind: 'load' })
    await line.send([claim(what, { 'batch-id': 'asked-for-by-name' })])
    expect((await noted(what, 2))[1]).toMatchObject({ id: 'asked-for-by-name', state: 'waiting' })
    await noted(other, 2)
    await cancelBatch(line.producer, line.topics, { batchId: 'failed-first' })
    await line.reply('failed-first')
    const second = (await rowsOf(other)).find(({ id }) => id === null)!
    expect(await bind(second.no, found(other.etag))).toMatchObject({ headers: { batchId: objectBatchId(other) } })
  })

  it('is no second batch for a claim that names none, whose sender is told which one it is', async () => {
    const what = object()
    await line.send([claim(what, { 'batch-id': 'the-first' })])
    await noted(what)
    await line.send([claim(what)])
    const id = objectBatchId(what)
    expect(await conflictOf(id)).toBe('its object is the batch the-first already')
    expect(await batchOf(id)).toBeUndefined()
    // A dry run is beside all that.
    await line.send([claim(what, { 'dry-run': 'true' })])
    expect((await noted(what, 2))[1]).toMatchObject({ id, state: 'waiting' })
  })
})

describe('what a repetition says, and the first request left open', () => {
  const columns = async ({ key }: { key: string }) => {
    const { rows } = await line.pool.query<{ etag: string | null; sha256: string | null; content_type: string | null }>(
      `select etag, encode(sha256, 'hex') as sha256, content_type from object_loads where object_key = $1 and not repeats`,
      [key],
    )
    return rows[0]
  }
  const sha256 = 'a'.repeat(64)

  it('holds, while nobody has begun to load it', async () => {
    const { etag, ...what } = object()
    await line.send([claim(what, { 'batch-id': 'told-later' })])
    const [first] = await noted(what)
    await keep(what)
    await line.send([claim({ ...what, etag, sha256, contentType: 'text/csv' }, { 'batch-id': 'told-later' })])
    await noted(what, 2)
    expect(await columns(what)).toEqual({ etag, sha256, content_type: 'text/csv' })
    await expect(bind(first!.no, found('etag-1'))).rejects.toBeInstanceOf(OtherObject)
  })

  it('is a conflict once somebody has: nobody is told that it was checked', async () => {
    const what = object()
    await line.send([event(what)])
    const [first] = await noted(what)
    await bind(first!.no, found(what.etag))
    await line.pool.query(`update object_loads set chunks_sent = 1 where no = $1`, [first!.no])
    await line.send([claim({ ...what, sha256 })])
    expect(await conflictOf(objectBatchId(what))).toContain('without it being checked')
    expect(await columns(what)).toMatchObject({ sha256: null })
  })
})

describe('chunks of a loader that come before what asked for their object, as after a restore', () => {
  /** @param age of the chunks, beside the request that is sent then */
  const sendChunks = async (headers: BatchHeaders, batch: TestBatch, age: 'older' | 'younger', only?: number) => {
    const records = await chunkRecords(line.topics.bulk, headers, batch.lines, { chunks: 3, total: 'last' })
    await line.send(records.slice(0, only))
    await eventually(async () => (await batchOf(headers.batchId)) !== undefined)
    await quiet()
    if (age === 'older') return
    const later = `update batches set created_at = clock_timestamp() + interval '1 minute' where id = $1`
    await line.pool.query(later, [headers.batchId])
  }

  it('are of the batch that it becomes', async () => {
    const [by, told] = [object(), object()]
    const batches = [
      { ...testBatch(300), id: 'chunks-first' },
      { ...testBatch(300), id: objectBatchId(told) },
    ] as const
    const headers = { batchId: 'chunks-first', source: 'acme' }
    await sendChunks(headers, batches[0], 'younger', 2)
    await sendChunks({ batchId: batches[1].id, source: 'acme' }, batches[1], 'older', 2)
    await line.send([claim(by, { 'batch-id': 'chunks-first', source: 'acme' }), event(told)])
    const [claimed] = await noted(by)
    expect(claimed).toMatchObject({ id: 'chunks-first', state: 'waiting', repeats: false, headers })
    const [row] = await noted(told)
    expect(await bind(row!.no, found(told.etag))).toMatchObject({ kind: 'load', headers: { source: 'acme' } })
    for (const [what, batch] of [
      [by, batches[0]],
      [told, batches[1]],
    ] as const) {
      await load((await rowsOf(what))[0]!.headers, batch)
      await line.reply(batch.id)
      await quiet()
      expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    }
    expect(await line.deadLetters('chunks-first')).toEqual([])
  })

  it('are the whole batch: the request is answered by it', async () => {
    const what = object()
    const batch = { ...testBatch(300), id: 'chunks-all-first' }
    await sendChunks({ batchId: batch.id }, batch, 'younger')
    await line.reply(batch.id)
    await line.send([claim(what, { 'batch-id': batch.id }), claim(what, { 'batch-id': batch.id })])
    expect((await noted(what, 2)).map(({ state, repeats }) => [state, repeats])).toEqual([
      ['ended', false],
      ['ended', true],
    ])
    await eventually(async () => (await line.replies(batch.id)).length >= 2)
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('with other headers are not its own', async () => {
    const what = object()
    const batch = { ...testBatch(300), id: 'chunks-of-others' }
    await sendChunks({ batchId: batch.id, source: 'others' }, batch, 'younger', 2)
    await line.send([claim(what, { 'batch-id': batch.id, source: 'acme' })])
    expect(await refusedWith(batch.id, 'id_conflict')).toContain('header source')
  })
})

describe('a notification of many objects', () => {
  const record = (places: object[]) => ({
    ...event(...places),
    partition: 0,
    offset: 7_000_000n,
    key: null,
    timestamp: 1,
    headers: new Map<string, string>(),
  })
  const door = (onCount: (labels: { outcome: string }, count: number) => void = () => undefined) => {
    const count = { inc: onCount }
    const metrics = { objectRequests: count, retries: count, deadLetters: count } as unknown as IngestMetrics
    const log = createLogger('ingest', 'silent')
    const { pool, producer, topics } = line
    return new ObjectDoor({ pool, producer, metrics, log, deadLetters: topics.deadLetters, buckets: ['prices'] })
  }

  it('is counted, with what it tells of other buckets', async () => {
    const counted: [string, number][] = []
    const told = event(object(), { ...object(), bucket: 'claims' }, object(), { ...object(), bucket: 'claims' })
    const taking = door(({ outcome }, count) => void counted.push([outcome, count]))
    const context = { signal: new AbortController().signal, suspect: false }
    await taking.take({ ...record([]), ...told, headers: new Map<string, string>(), offset: 7_000_001n }, context)
    expect(counted).toEqual([
      ['noted', 2],
      ['foreign_bucket', 2],
    ])
  })

  it('is left off between them, and brought forward by each round', async () => {
    const many = Array.from({ length: 1_200 }, () => object())
    const [first, last] = [many[0]!, many.at(-1)!]
    const stop = new AbortController()
    const leaving = door(() => stop.abort())
    await expect(leaving.take(record(many), { signal: stop.signal, suspect: true })).rejects.toBeInstanceOf(Stopped)
    expect(await rowsOf(first)).toHaveLength(1)
    expect(await rowsOf(last)).toEqual([])
    const attempts = async () => {
      const { rows } = await line.pool.query<{ attempts: number }>(
        'select attempts from record_attempts where record_offset = 7000000',
      )
      return rows.map(({ attempts: count }) => count)
    }
    // Two workers were killed by something else meanwhile; this one is before it has noted all.
    await line.pool.query(
      'insert into record_attempts (topic, partition, record_offset, attempts) values ($1, 0, 7000000, 2)',
      [line.topics.objects],
    )
    let lots = 0
    const killed = door(() => {
      if (++lots === 3) throw new Error('killed')
    })
    const context = { signal: new AbortController().signal, suspect: true }
    await expect(killed.take(record(many), context)).rejects.toThrow('killed')
    expect(await attempts()).toEqual([])
    await door().take(record(many), context)
    expect(await rowsOf(last)).toHaveLength(1)
  })
})
