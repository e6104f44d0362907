import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type OutgoingRecord } from '@rates/service/kafka'
import { GroupInUse, setOffsets } from '@rates/service/kafka-offsets'
import { groupNames } from '@rates/service/topics'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { settled } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { programSettings, runRates } from '@rates/testing/program'
import kafkajs from 'kafkajs'
import pg from 'pg'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'

// Design rule 14: a database that was restored from a backup is behind what Kafka says was read.

let line: Line
let worker: { name: string; stop(): Promise<void> }
let env: Record<string, string>
/** When the backup was made, in milliseconds since 1970. */
let backupAt: number
let complete: Awaited<ReturnType<typeof everything>>

const rewind = (...args: string[]) => runRates(env, 'rewind', ...args)
const iso = (time: number): string => new Date(time).toISOString()

const whole = (batch: TestBatch, headers: Record<string, string> = {}): OutgoingRecord => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value: csv(batch.lines),
})
const chunked = (batch: TestBatch, chunks: number, topic = line.topics.batches) =>
  chunkRecords(topic, { batchId: batch.id }, batch.lines, { chunks, total: 'last' })

/** What the ledger and the readers' view hold, and which replies were given, without times. */
async function everything() {
  const ledger = await line.pool.query(
    `select id, dry_run, state, rows_accepted::int, rows_rejected::int, encode(digest, 'hex') as digest, error ->> 'code' as error
     from batches order by id, dry_run`,
  )
  const chunks = await line.pool.query(
    `select b.id, c.chunk, c.rows, c.partition, c.record_offset::int from batch_chunks c join batches b on b.no = c.batch_no order by 1, 2`,
  )
  const prices = await line.pool.query(
    `select count(*)::int as n, md5(string_agg(p::text, '' order by p::text collate "C")) as sum from prices p`,
  )
  const replies = new Set<string>()
  for (const { id } of ledger.rows as { id: string }[])
    for (const reply of await line.replies(id)) replies.add(reply.id)
  return {
    ledger: ledger.rows,
    chunks: chunks.rows,
    prices: prices.rows[0] as { n: number },
    replies: [...replies].sort(),
  }
}

async function offsets(): Promise<Map<string, bigint | null>> {
  const found = new Map<string, bigint | null>()
  for (const lane of ['batches', 'bulk'] as const) {
    const progress = await line.admin.progress(line.groups[lane], line.topics[lane])
    for (const { partition, committed } of progress) found.set(`${lane}-${partition}`, committed)
  }
  return found
}

/** Runs a statement on the server while nobody is connected to the line's database. */
async function alone(...statements: ((name: string) => string)[]): Promise<void> {
  const url = new URL(line.databaseUrl)
  const name = url.pathname.slice(1)
  url.pathname = '/postgres'
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    for (const statement of statements) await client.query(statement(name))
  } finally {
    await client.end()
  }
}

const backUp = () => alone((name) => `create database ${name}_backup template ${name}`)
const restore = () =>
  alone(
    (name) => `drop database ${name} with (force)`,
    (name) => `create database ${name} template ${name}_backup`,
  )

beforeAll(async () => {
  line = await startLine({ partitions: 3 })
  line.defer(() => alone((name) => `drop database if exists ${name}_backup`))
  env = programSettings(line)
  worker = await startTestWorker(line)
  const half = testBatch(400, { id: 'half' })
  const records = await chunked(half, 4)
  await line.send([
    whole(testBatch(50, { id: 'before' })),
    ...(await chunked(testBatch(900, { id: 'bulk-before' }), 9, line.topics.bulk)),
  ])
  await line.send(records.slice(0, 2))
  await Promise.all([line.reply('before'), line.reply('bulk-before')])
  await line.pool.query('select pg_sleep(0.05)')
  await worker.stop()
  backupAt = Date.now()
  await backUp()

  worker = await startTestWorker(line)
  await line.send(records.slice(2))
  const bad = testBatch(30, { id: 'bad' })
  bad.lines[7] = 'CNGGZ,XXXXX,1971-01-01,1'
  await line.send([
    ...(await chunked(testBatch(600, { id: 'chunks' }), 6)),
    ...(await chunked(testBatch(800, { id: 'bulk' }), 8, line.topics.bulk)),
    ...[1, 2, 3].map((n) => whole(testBatch(20, { id: `whole-${n}` }))),
    whole(bad),
    whole(testBatch(20, { id: 'trial' }), { 'dry-run': 'true' }),
    { topic: line.topics.batches, headers: {}, value: csv(testBatch(25).lines) }, // named after its place
  ])
  await Promise.all(
    ['half', 'chunks', 'bulk', 'whole-1', 'whole-2', 'whole-3', 'bad', 'trial'].map((id) => line.reply(id)),
  )
  await settled(line)
  complete = await everything()
}, 120_000)
afterAll(() => line.close())

describe('rates rewind', () => {
  it('refuses while workers run, and without being told that it is meant', async () => {
    const before = await offsets()
    const running = await rewind('--to', iso(backupAt), '--yes')
    expect(running).toMatchObject({
      code: 1,
      err: expect.stringContaining(`would set the offsets forward again: ${worker.name} (`),
    })
    expect(running.err).toContain('npm start -- --workers 0')
    // The seam looks by itself, too: a worker may have started since the plan was made.
    const { groups, topics } = line
    await expect(setOffsets(line.kafka, groups.batches, topics.batches, new Map([[0, 0n]]))).rejects.toThrow(GroupInUse)
    await worker.stop()
    const unasked = await rewind('--to', iso(backupAt))
    expect(unasked).toMatchObject({ code: 2, err: expect.stringContaining('--yes') })
    expect(await offsets()).toEqual(before)
  })

  it('brings everything back exactly once after a restore', async () => {
    await restore()
    const behind = await everything()
    expect(behind.ledger.map((row: { id: string; state: string }) => [row.id, row.state])).toEqual([
      ['before', 'succeeded'],
      ['bulk-before', 'succeeded'],
      ['half', 'open'],
    ])
    const before = await offsets()

    const late = await rewind('--to', '0.001s', '--dry-run')
    expect(late).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to set back') })
    expect(late.err).toMatch(
      /rates\.batches: the ledger ends before .* Up to 14 records on partitions 0, 1, 2 would stay unread/,
    )

    const planned = await rewind('--to', iso(backupAt), '--dry-run', '--json')
    expect(planned).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(planned.out)).toMatchObject({ applied: false, records: 22, to: iso(backupAt), warnings: [] })
    expect(await offsets()).toEqual(before)

    const done = await rewind('--to', iso(backupAt), '--yes')
    expect(done).toMatchObject({ code: 0, err: '' })
    expect(done.out).toContain('22 records that came since')
    const after = await offsets()
    const moved = [...before].map(([place, offset]) => Number((offset ?? 0n) - (after.get(place) ?? 0n)))
    expect(moved.every((records) => records >= 0)).toBe(true)
    expect(moved.reduce((sum, records) => sum + records)).toBe(22)

    worker = await startTestWorker(line)
    await settled(line)
    expect(await everything()).toEqual(complete)
    await worker.stop()
  })

  it('compares what senders were told with what is', async () => {
    // What somebody was told who asked is no outcome: it was true then.
    const asked = { id: 'whole-1', batchId: 'whole-1', dryRun: false, state: 'failed' }
    const headers = { status: '200', 'content-type': 'application/json' }
    await line.send([{ topic: line.topics.replies, headers, value: Buffer.from(JSON.stringify(asked)) }])
    const good = await rewind('--to', iso(backupAt), '--check', '--json')
    expect(good).toMatchObject({ code: 0, err: '' })
    // A reply for each batch at least; those given once more after the replay are records of their own.
    expect(JSON.parse(good.out)).toEqual({ compared: expect.any(Number), untrue: [] })
    expect((JSON.parse(good.out) as { compared: number }).compared).toBeGreaterThanOrEqual(9)
    // As a replay may leave it whose deadline has passed, or that had not come to all records.
    await line.pool.query(`alter table batches disable trigger user;
      update batches set state = 'failed' where id = 'whole-1'; update batches set id = 'other' where id = 'whole-2'`)
    const { code, out } = await rewind('--to', iso(backupAt), '--check')
    await line.pool.query(`update batches set state = 'succeeded' where id = 'whole-1';
      update batches set id = 'whole-2' where id = 'other'; alter table batches enable trigger user`)
    expect(code).toBe(1)
    expect(out).toMatch(/\nwhole-1  succeeded  failed\n/)
    expect(out).toMatch(/\nwhole-2  succeeded  not there\n/)
    expect(out).toMatch(/outcomes compared, 2 differ\./)
  })

  it('changes nothing where nothing is missing, from the very first record', async () => {
    const done = await rewind('--to', iso(backupAt - 600_000), '--yes')
    expect(done).toMatchObject({ code: 0, out: expect.stringContaining('34 records that came since') })
    expect([...(await offsets()).values()].every((offset) => offset === 0n)).toBe(true)
    // Forward it never goes.
    const forward = await rewind('--to', '0.001s', '--yes')
    expect(forward).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to set back') })
    expect([...(await offsets()).values()].every((offset) => offset === 0n)).toBe(true)
    worker = await startTestWorker(line)
    await settled(line)
    expect(await everything()).toEqual(complete)
    await worker.stop()
  })

  it('sets the events of objects back, too, and leaves queries alone', async () => {
    const { objects, queries } = groupNames(line.prefix)
    await line.send([
      { topic: line.topics.objects, headers: {}, value: Buffer.from('{"Records":[]}') },
      { topic: line.topics.queries, headers: {}, value: Buffer.from('{}') },
    ])
    const read = async (group: string, topic: string): Promise<void> => {
      const ends = await line.admin.ends(topic)
      await setOffsets(line.kafka, group, topic, new Map(ends.map(({ partition, high }) => [partition, high])))
    }
    await read(objects, line.topics.objects)
    await read(queries, line.topics.queries)
    const done = await rewind('--to', iso(backupAt), '--yes')
    expect(done).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/rates\.objects, read by .*rates-objects\n/),
    })
    const [events, questions] = await Promise.all([
      line.admin.progress(objects, line.topics.objects),
      line.admin.progress(queries, line.topics.queries),
    ])
    expect(events.map(({ committed }) => committed)).toEqual(events.map(() => 0n))
    expect(questions.map(({ committed }) => committed)).toEqual(questions.map(({ high }) => high))
  })

  it('tells where records are not kept any more', async () => {
    await restore()
    const kafka = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
    await kafka.connect()
    const ends = await kafka.fetchTopicOffsets(line.topics.batches)
    const offset = ends.find(({ partition }) => partition === 1)!.high
    await kafka.deleteTopicRecords({ topic: line.topics.batches, partitions: [{ partition: 1, offset }] })
    await kafka.disconnect()
    const planned = await rewind('--to', iso(backupAt), '--dry-run')
    expect(planned.code).toBe(0)
    expect(planned.err).toMatch(
      /rates\.batches: records after .* are not kept any more on partition 1: what they brought is lost/,
    )
    expect(planned.err).not.toContain('partitions')
  })

  it('takes no other time', async () => {
    const wrong = [['--to', 'yesterday'], ['--to', '2026-02-30T00:00:00Z'], ['--to', '2999-01-01T00:00:00Z'], []]
    expect(await Promise.all(wrong.map((args) => rewind(...args)))).toMatchObject([
      { code: 2, err: expect.stringContaining('--to: "yesterday" is neither a time as') },
      { code: 2, err: expect.stringContaining('--to: "2026-02-30T00:00:00Z" is neither a time as') },
      { code: 2, err: expect.stringContaining('is in the future') },
      { code: 2, err: expect.stringContaining("required option '--to <time>' not specified") },
    ])
  })
})
