import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import kafkajs from 'kafkajs'
import { startTestApp } from './test-app.ts'
import { startRetryTest, type Answer, type RetryTest } from './test-retry.ts'

let test: RetryTest
beforeAll(async () => {
  test = await startRetryTest()
})
afterAll(() => test.close())

/** A batch that succeeded, reverted if wanted. */
async function sent(how: { reverted?: boolean; headers?: object; chunks?: number } = {}): Promise<TestBatch> {
  const batch = testBatch(9)
  await test.send(batch, how.headers, how.chunks)
  await test.outcome(batch.id)
  if (how.reverted) await test.post(`/batches/${batch.id}/revert`)
  return batch
}
/** A batch of the ledger alone. */
const insert = (id: string, state: string, more: { retryOf?: string; dryRun?: boolean; error?: object } = {}) =>
  test.line.pool.query(
    `with b as (
       insert into batches (id, state, retry_of, dry_run, error, finished_at)
       values ($1, $2, $3, $4, $5, case when $2 <> 'open' then now() end) returning no, state
     ) insert into hidden_batches select no from b where state <> 'succeeded'`,
    [id, state, more.retryOf, more.dryRun ?? false, more.error ?? null],
  )

/** Nothing is opened for a request that is refused. */
async function refused(id: string, query = ''): Promise<Record<string, unknown>> {
  const before = await test.ids()
  const answer = await test.refused(id, query)
  expect(await test.ids()).toEqual(before)
  return answer
}

// First, for its client goes on trying for a while.
describe('without Kafka', () => {
  it('it is refused for now', async () => {
    const { id } = await sent({ reverted: true })
    const away = await startTestApp({ ...test.environment, KAFKA_BROKERS: '127.0.0.1:1' })
    const before = await test.ids()
    expect(await test.post(`/batches/${id}/retry`, {}, away.url)).toMatchObject({
      status: 503,
      retryAfter: '5',
      body: { detail: 'Kafka cannot be reached: no batch can be run again, reads go on.' },
    })
    expect(await test.ids()).toEqual(before)
    await away.close()
  })
})

describe('a batch is not run again', () => {
  it.each(['nobody', "o'clock"])('that is not there: %s', async (id) => {
    expect(await refused(encodeURIComponent(id))).toEqual({
      status: 404,
      code: 'not_seen_yet',
      detail: `There is no batch ${JSON.stringify(id)}.`,
    })
    expect(await test.post(`/batches/${encodeURIComponent(id)}/retry`)).toMatchObject({ retryAfter: '1' })
  })

  it('that was a dry run', async () => {
    await insert('rehearsed', 'failed', { dryRun: true })
    expect(await refused('rehearsed')).toMatchObject({ status: 409, code: 'dry_run' })
  })

  it('that has not ended', async () => {
    await insert('open', 'open')
    expect(await refused('open')).toEqual({ status: 409, code: 'not_ended', detail: 'Batch open has not ended.' })
  })

  it('that is visible, by itself or by another run of it', async () => {
    const { id } = await sent()
    expect(await refused(id)).toEqual({
      status: 409,
      code: 'succeeded',
      detail: `Batch ${id} succeeded, and is visible: revert it first.`,
    })
    await test.post(`/batches/${id}/revert`)
    const again = await test.retry(id)
    await test.outcome(again)
    expect(await refused(id)).toEqual({
      status: 409,
      code: 'succeeded',
      batch: `/batches/${again}`,
      detail: `The prices of batch ${id} are visible as batch ${again}: revert that one first.`,
    })
    // By a run of a run, and of the batch that it is a run of.
    await test.post(`/batches/${again}/revert`)
    const third = await test.retry(again)
    await test.outcome(third)
    expect(await refused(id)).toMatchObject({ code: 'succeeded', batch: `/batches/${third}` })
    await test.post(`/batches/${third}/revert`)
    const fourth = await test.retry(id)
    await test.outcome(fourth)
    for (const each of [id, again, third]) {
      expect(await refused(each)).toMatchObject({ code: 'succeeded', batch: `/batches/${fourth}` })
    }
  })

  it('that was replaced, or another run of it', async () => {
    const { id } = await sent({ headers: { source: 'acme' }, reverted: true })
    const again = await test.retry(id)
    await test.outcome(again)
    const { id: corrected } = await sent({ headers: { source: 'acme', replaces: again } })
    expect(await refused(again)).toEqual({
      status: 409,
      code: 'replaced',
      replacedBy: corrected,
      detail: `Batch ${again} was replaced by ${corrected}: these prices were corrected.`,
    })
    expect(await refused(id)).toMatchObject({ code: 'replaced', replacedBy: corrected, batch: `/batches/${again}` })
  })

  it('where anybody says in a circle whose records it has', async () => {
    await insert('chicken', 'failed', { retryOf: 'egg' })
    await insert('egg', 'open', { retryOf: 'chicken' })
    expect(await refused('chicken')).toMatchObject({ code: 'running', batch: '/batches/egg' })
  })

  it('whose chunks never came', async () => {
    const { id } = await sent({ reverted: true })
    await test.line.pool.query(
      `delete from batch_chunks where chunk = 1 and batch_no = (select no from batches where id = $1)`,
      [id],
    )
    await test.line.pool.query(`update batches set error = '{"code":"incomplete","message":""}' where id = $1`, [id])
    const detail = `Batch ${id} cannot be run again: 1 chunk of 3 never came.`
    expect(await refused(id)).toEqual({ status: 409, code: 'incomplete', missing: 1, detail })
    await insert('unknown', 'failed', { error: { code: 'upload_broken', message: '' } })
    expect(await refused('unknown')).toEqual({
      status: 409,
      code: 'incomplete',
      missing: null,
      detail: 'Batch unknown cannot be run again: the chunk that tells how many there are never came.',
    })
  })

  it('whose chunks were looked for and are not there', async () => {
    const { line } = test
    const batch = testBatch(12)
    const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 4 })
    await line.send([records[0]!, records[2]!])
    await test.until(batch.id, ({ chunks }) => chunks.done === 2)
    await test.post(`/batches/${batch.id}/cancel`)
    expect(await refused(batch.id)).toMatchObject({ code: 'incomplete', missing: 2 })
    await line.send([records[1]!])
    expect(await refused(batch.id)).toMatchObject({ code: 'incomplete', missing: 1 })
  })

  it('whose parameters are wrong, or whose id is taken', async () => {
    const { id } = await sent({ reverted: true })
    expect(await refused(id, '?deadline=tomorrow')).toMatchObject({
      status: 400,
      detail: 'deadline: "tomorrow" is not a time of RFC 3339 in UTC, as 2026-11-21T08:00:00Z',
    })
    expect(await refused(id, '?id=a%20b')).toMatchObject({ status: 400 })
    const { id: taken } = await sent()
    expect(await refused(id, `?id=${taken}`)).toMatchObject({
      status: 409,
      code: 'id_taken',
      batch: `/batches/${taken}`,
    })
  })

  /** Runs of which none can open its batch before all of them try to. */
  async function atOnce(paths: readonly string[], meanwhile?: () => Promise<void>): Promise<Answer[]> {
    const client = await test.line.pool.connect()
    await client.query('begin; lock table hidden_batches in share row exclusive mode')
    const answers = paths.map((path) => test.post(path))
    try {
      const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
        and (query like '%into hidden_batches%' or query like '%rates-retry%')`
      await eventually(async () => (await test.line.pool.query(waits)).rowCount === paths.length, {
        what: 'all of them trying to open their batch',
      })
      await meanwhile?.()
    } finally {
      await client.query('commit')
      client.release()
    }
    return Promise.all(answers)
  }

  it('twice at once: one new batch, one refusal that names it', async () => {
    const { id } = await sent({ reverted: true })
    const before = await test.ids()
    const answers = await atOnce([`/batches/${id}/retry`, `/batches/${id}/retry?id=x-${id}`])
    const [won, lost] = [202, 409].map((status) => answers.find((answer) => answer.status === status))
    expect(lost).toMatchObject({ body: { code: 'running', batch: won?.location } })
    const opened = (await test.ids()).filter((each) => !before.includes(each))
    expect(opened).toEqual([(won!.body as { id: string }).id])
  })

  it('while two others are, who are told to come again', async () => {
    const [first, second, third] = [
      await sent({ reverted: true }),
      await sent({ reverted: true }),
      await sent({ reverted: true }),
    ]
    const answers = await atOnce([`/batches/${first.id}/retry`, `/batches/${second.id}/retry`], async () => {
      const answer = await Promise.race([test.post(`/batches/${third.id}/retry`), sleep(30_000)])
      expect(answer).toMatchObject({ status: 503, retryAfter: '2' })
    })
    expect(answers.map(({ status }) => status)).toEqual([202, 202])
    await test.outcome(await test.retry(third.id))
  })
})

describe('without its records', () => {
  async function removeUpTo(topic: string, partition: number, offset: bigint): Promise<void> {
    const client = new kafkajs.Kafka({ brokers: test.line.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const admin = client.admin()
    await admin.connect()
    await admin.fetchTopicOffsets(topic) // or it does not know the topic
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
    await admin.disconnect()
  }
  const placesOf = async (id: string) =>
    (
      await test.line.pool.query<{ topic: string; partition: number; offset: bigint }>(
        `select c.topic, partition, record_offset as offset from batch_chunks c
         join batches on no = batch_no where id = $1 order by chunk`,
        [id],
      )
    ).rows

  it('a batch is not run again: those that Kafka has removed are counted', async () => {
    const { id } = await sent({ reverted: true })
    const [first, second] = await placesOf(id)
    await removeUpTo(first!.topic, first!.partition, first!.offset + 1n)
    expect(await refused(id)).toEqual({
      status: 409,
      code: 'records_gone',
      gone: 1,
      detail: `Kafka has the records of 1 of its 3 chunks of batch ${id} no more: send the file again.`,
    })
    await removeUpTo(second!.topic, second!.partition, second!.offset + 1n)
    expect(await refused(id)).toMatchObject({ code: 'records_gone', gone: 2 })
  })

  it.each([
    ['other records lie there', `sha256 = sha256('x')`],
    ['there is nothing yet', 'record_offset = record_offset + 1000000'],
    ['there is no such partition', 'partition = 77'],
    ['it came by a topic that is no lane', `topic = 'elsewhere'`],
  ])('nor where %s, for the topic was made anew', async (_, change) => {
    const { id } = await sent({ reverted: true })
    await test.line.pool.query(
      `update batch_chunks set ${change} where batch_no = (select no from batches where id = $1)`,
      [id],
    )
    expect(await refused(id)).toMatchObject({ status: 409, code: 'records_gone' })
  })

  it('is cancelled where that is found out in the middle of it', async () => {
    const { id } = await sent({ reverted: true })
    await test.line.pool.query(
      `update batch_chunks set sha256 = sha256('x') where chunk = 1 and batch_no = (select no from batches where id = $1)`,
      [id],
    )
    expect(await test.refused(id)).toMatchObject({ status: 409, code: 'records_gone', gone: null })
    expect(await test.outcome(`${id}.retry-1`)).toMatchObject({
      state: 'cancelled',
      error: { code: 'retry_broken', message: expect.stringContaining('is not chunk 1') },
    })
    expect(await test.line.reply(`${id}.retry-1`)).toMatchObject({ state: 'cancelled' })
  })
})
