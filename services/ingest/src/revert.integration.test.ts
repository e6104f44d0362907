import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { setOffsets } from '@rates/service/kafka-offsets'
import { cancel } from '@rates/service/ledger/cancel'
import { revertIn, type Reverted } from '@rates/service/ledger/revert'
import { withTransaction } from '@rates/service/postgres'
import { cancelBatch, requestRevert } from '@rates/service/produce-batch'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { backlog, factsOf, settled, succeeded, visible } from '@rates/testing/facts'
import { startLine, type Line, type SeenReply, type Watched } from '@rates/testing/line'
import { waitingFor } from '@rates/testing/lock-waits'
import { refuseRevert, revertByRecord } from './revert-record.ts'
import { startTestWorker } from './test-worker.ts'

let line: Line
let teamTopic: string
let team: Watched
let workers: { stop(): Promise<void> }[]
const settings = (): Record<string, string> => ({ REPLY_TOPICS: teamTopic, COMPACT_AFTER_SECONDS: '0' }) // all is merged soon
const startWorkers = async (): Promise<void> => {
  workers = await Promise.all([startTestWorker(line, settings()), startTestWorker(line, settings())])
}
beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  teamTopic = `${line.prefix}team.replies`
  await line.admin.createTopic(teamTopic, 1, 1, {})
  team = await line.watch(teamTopic)
  await startWorkers()
})
afterAll(() => line.close())
const whole = (batch: TestBatch, headers: Record<string, string> = {}) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value: csv(batch.lines),
})
/** Sends a batch and waits for its outcome. */
async function load(batch: TestBatch, headers: Record<string, string> = {}): Promise<TestBatch> {
  await line.send([whole(batch, headers)])
  await line.reply(batch.id)
  return batch
}
/** Batches of one month, each replacing the one before. */
async function chain(...counts: number[]): Promise<TestBatch[]> {
  const made: TestBatch[] = []
  for (const count of counts) {
    const before = made.at(-1)
    const batch = before ? testBatch(count, { month: before.month }) : testBatch(count)
    made.push(await load(batch, before && { replaces: before.id }))
  }
  return made
}
/** As the API does it. */
const revert = (id: string, { windowDays = 7 } = {}): Promise<Reverted> =>
  withTransaction(line.pool, (client) => revertIn(client, id, false, windowDays))
/** Over Kafka; waits for the answer, which is the batch's newest reply. */
async function request(id: string, more: { dryRun?: boolean; correlationId?: string } = {}): Promise<SeenReply> {
  const before = (await line.replies(id)).length
  await requestRevert(line.producer, line.topics, { batchId: id, ...more })
  return eventually(async () => (await line.replies(id))[before], { what: `the answer for ${id}` })
}
type Row = { state: string; replacedBy: string | null; hiddenAt: Date; hidden: boolean }
const ledgerOf = async (id: string): Promise<Row> =>
  (
    await line.pool.query(
      `select state, replaced_by as "replacedBy", hidden_at as "hiddenAt", exists (select from hidden_batches where batch_no = no) as hidden
       from batches where id = $1 and not dry_run`,
      [id],
    )
  ).rows[0]
const age = (id: string, days: number) =>
  line.pool.query(`update batches set finished_at = clock_timestamp() - make_interval(days => $2) where id = $1`, [
    id,
    days,
  ])
const purged = async (...ids: string[]): Promise<string[]> => {
  const { rows } = await line.pool.query<{ id: string }>(
    `select id from batches b where id = any($1) and purged_at is not null
       and not exists (select from price_packs where batch_no = no) order by id`,
    [ids],
  )
  return rows.map(({ id }) => id)
}

describe('control: revert', () => {
  it('hides the batch and answers the request; what was hidden is purged', async () => {
    const batch = await load(testBatch(300), { source: 'acme' })
    const { id, reply } = await request(batch.id, { correlationId: 'r-1' })
    expect(id).toMatch(new RegExp(`^${batch.id}/revert/${line.topics.batches}-\\d-\\d+$`))
    const { hiddenAt } = await ledgerOf(batch.id)
    expect(reply).toMatchObject({
      replyId: id,
      batchId: batch.id,
      correlationId: 'r-1',
      state: 'reverted',
      source: 'acme',
      rows: { accepted: 300, rejected: 0 },
      digest: batch.digest,
      error: null,
      finishedAt: hiddenAt.toISOString(),
    })
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'reverted',
      visible: 'nothing',
      replied: ['succeeded', 'reverted'],
    })
    await eventually(async () => (await purged(batch.id)).length === 1)
    // What is told of how it was loaded stays.
    const { rows: chunks } = await line.pool.query(
      'select rows, bytes from batch_chunks join batches on no = batch_no where id = $1',
      [batch.id],
    )
    expect(chunks).toEqual([{ rows: 300, bytes: expect.any(Number) }])
    // Asked once more, with the same truth; the batch as it was loaded is not sent again.
    const again = await request(batch.id)
    expect(again.id).not.toBe(id)
    expect(again.reply).toMatchObject({ state: 'reverted', finishedAt: hiddenAt.toISOString() })
    await line.send([whole(batch, { source: 'acme' })])
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({ state: 'reverted', visible: 'nothing' })
  })

  it('is answered on its own reply-to if that is allowed, else on the default one', async () => {
    const [one, two] = [await load(testBatch(5)), await load(testBatch(5))]
    await requestRevert(line.producer, line.topics, { batchId: one.id, replyTo: teamTopic })
    const record = await eventually(async () =>
      (await team.all()).find(({ headers }) => headers.get('batch-id') === one.id),
    )
    expect(JSON.parse(Buffer.from(record.value!).toString())).toMatchObject({ state: 'reverted' })
    expect((await line.replies(one.id)).map(({ reply }) => reply.state)).toEqual(['succeeded'])
    await requestRevert(line.producer, line.topics, { batchId: two.id, replyTo: 'somebody.elses' })
    await eventually(async () => (await line.replies(two.id)).length === 2)
    expect((await ledgerOf(two.id)).state).toBe('reverted')
  })

  it('is refused with the reason where there is nothing to revert', async () => {
    const failed = testBatch(5)
    failed.lines[0] = 'x'
    await load(failed)
    const cancelled = testBatch(5)
    await cancelBatch(line.producer, line.topics, { batchId: cancelled.id })
    await line.reply(cancelled.id)
    const dry = await load(testBatch(5), { 'dry-run': 'true' })
    const loading = testBatch(20)
    const [first] = await chunkRecords(line.topics.batches, { batchId: loading.id }, loading.lines, { chunks: 2 })
    await line.send([first!])
    await eventually(async () => (await ledgerOf(loading.id))?.state === 'open')
    const old = await load(testBatch(5))
    await age(old.id, 8)
    const [replaced, successor] = await chain(5, 5)

    const cases: [id: string, code: string, words: string][] = [
      ['nobody', 'not_found', 'there is no batch nobody'],
      [dry.id, 'dry_run', 'was a dry run'],
      [failed.id, 'not_succeeded', 'failed'],
      [cancelled.id, 'not_succeeded', 'was cancelled'],
      [loading.id, 'not_succeeded', 'can be cancelled'],
      [old.id, 'window_over', 'only within 7 days'],
      [replaced!.id, 'replaced', `was replaced by ${successor!.id}: revert that one`],
    ]
    for (const [id, code, words] of cases) {
      const { reply } = await request(id)
      expect(reply).toMatchObject({ state: 'revert_refused', error: { code, message: expect.stringContaining(words) } })
    }
    const { id, reply } = await request(dry.id, { dryRun: true })
    expect(id).toContain(`${dry.id}/dry-run/revert/`)
    expect(reply).toMatchObject({ state: 'revert_refused', dryRun: true, error: { code: 'dry_run' } })
    for (const each of [old, successor!]) expect(await visible(line, each)).toBe('all')
    expect((await ledgerOf(loading.id)).state).toBe('open')
    expect(
      await cancel(line.pool, loading.id, false, { replies: line.topics.replies, allowed: [], webhooks: null }),
    ).toEqual({
      kind: 'cancelled',
    })
  })

  it('that ended its workers is refused, unless one of them had answered', async () => {
    const replies = { replies: line.topics.replies, allowed: [], webhooks: null }
    const record = {
      topic: 'lane',
      partition: 0,
      offset: 7n,
      key: null,
      timestamp: Date.now(),
      headers: new Map(),
      value: null,
    }
    const poisoned = await load(testBatch(5))
    const refused = await refuseRevert(line.pool, record, { batchId: poisoned.id }, 'it ended 3 workers', replies)
    expect(refused).toMatchObject({ state: 'revert_refused', error: { code: 'internal_error' } })
    const within7Days = { windowDays: 7, replies }
    expect(await revertByRecord(line.pool, record, { batchId: poisoned.id }, within7Days)).toBeUndefined()
    expect(await visible(line, poisoned)).toBe('all')

    const answered = await load(testBatch(5))
    // Two workers have it at once; only one of them reverts and answers.
    const both = [1, 2].map(() => revertByRecord(line.pool, record, { batchId: answered.id }, within7Days))
    expect((await Promise.all(both)).filter((reply) => reply?.state === 'reverted')).toHaveLength(1)
    expect(await refuseRevert(line.pool, record, { batchId: answered.id }, 'late', replies)).toBeUndefined()
    await settled(line)
    expect((await factsOf(line, answered)).replied).toEqual(['succeeded', 'reverted'])
  })

  it('has no effect a second time: not by a replay of the topics, whatever became of the batch since', async () => {
    const [a, b] = await chain(40, 50)
    const late = testBatch(30)
    await request(late.id) // refused: it does not exist yet
    await load(late)
    await request(b!.id)
    const next = await load(testBatch(60, { month: a!.month }), { replaces: a!.id })
    await settled(line)
    const replies = async () => (await line.pool.query('select reply_id, body from outbox order by no')).rows
    const before = await replies()
    await Promise.all(workers.map((worker) => worker.stop()))
    for (const [group, topic] of [
      [line.groups.batches, line.topics.batches],
      [line.groups.bulk, line.topics.bulk],
    ] as const) {
      const starts = await line.admin.progress(group, topic)
      await setOffsets(line.kafka, group, topic, new Map(starts.map(({ partition, low }) => [partition, low])))
    }
    expect(await backlog(line)).toBeGreaterThan(20n)
    await startWorkers()
    await settled(line)
    expect(await replies()).toEqual(before)
    for (const each of [late, next]) expect(await visible(line, each)).toBe('all')
    expect([(await ledgerOf(a!.id)).state, (await ledgerOf(b!.id)).state]).toEqual(['replaced', 'reverted'])
  })
})

describe('reverting', () => {
  it('unwinds a chain of replacements from its end, each by its own time', async () => {
    const [a, b, c] = await chain(100, 90, 80)
    const states = async () => Promise.all([a!, b!, c!].map(async ({ id }) => (await ledgerOf(id)).state))
    expect(await states()).toEqual(['replaced', 'replaced', 'succeeded'])
    expect(await revert(a!.id)).toMatchObject({ kind: 'refused', code: 'replaced' })
    expect(await revert(c!.id)).toMatchObject({ kind: 'reverted', before: false, shown: b!.id })
    expect(await states()).toEqual(['replaced', 'succeeded', 'reverted'])
    expect(await visible(line, b!)).toBe('all')
    expect(await ledgerOf(b!.id)).toMatchObject({ state: 'succeeded', replacedBy: null, hiddenAt: null, hidden: false })
    expect(await revert(b!.id)).toMatchObject({ kind: 'reverted', shown: a!.id })
    expect(await visible(line, a!)).toBe('all')
    expect(await revert(b!.id)).toMatchObject({ kind: 'reverted', before: true, shown: null })
    // What came back can be replaced again, and reverted.
    const d = await load(testBatch(70, { month: a!.month }), { replaces: a!.id })
    expect(await visible(line, d)).toBe('all')
    await revert(d.id)
    expect(await revert(a!.id)).toMatchObject({ kind: 'reverted', shown: null })
    expect(await visible(line, a!)).toBe('nothing')
  })

  it('keeps a replaced batch until its replacement cannot be reverted any more', async () => {
    const [a, b, c] = (await chain(30, 20, 10)) as [TestBatch, TestBatch, TestBatch]
    for (const { id } of [a, b, c]) await age(id, 6)
    await age(a.id, 30) // its own time is over, that of its replacement is not
    const marker = await load(testBatch(5))
    await revert(marker.id) // purged at once, so the sweeper had its turn
    await eventually(async () => (await purged(marker.id)).length === 1)
    expect(await purged(a.id, b.id, c.id)).toEqual([])
    await age(b.id, 8)
    await eventually(async () => (await purged(a.id)).length === 1)
    expect(await purged(b.id, c.id)).toEqual([])
    // b comes back with c's revert, and stays: its own time is over, and what it replaced is gone.
    expect(await revert(c.id)).toMatchObject({ kind: 'reverted', shown: b.id })
    expect(await visible(line, b)).toBe('all')
    expect(await revert(b.id)).toMatchObject({ kind: 'refused', code: 'window_over' })
    expect(await revert(b.id, { windowDays: 30 })).toMatchObject({ kind: 'refused', code: 'purged' })
    expect(await visible(line, b)).toBe('all')
  })

  it('shows a reader the old state or the new one, never a part, and waits for no reader', async () => {
    const [old, next] = (await chain(300, 200)) as [TestBatch, TestBatch]
    const reader = await line.pool.connect()
    const seen = new Set<string>()
    try {
      await reader.query('begin isolation level repeatable read')
      // A slow query: its snapshot and its locks on the tables stay until it ends.
      const count = async () => Number((await reader.query('select count(*) from prices')).rows[0]!.count)
      const before = await count()
      let done = false
      const poll = (async () => {
        while (!done) {
          const what = await visible(line, old)
          seen.add(what === 'all' ? 'old' : what.startsWith('200 rows') ? 'new' : what)
        }
      })()
      await eventually(async () => seen.has('new'))
      await revert(next.id) // the reader goes on all the while: who waits for it waits for ever
      await eventually(async () => seen.has('old'))
      done = true
      await poll
      expect(await count()).toBe(before)
    } finally {
      await reader.query('rollback')
      reader.release()
    }
    expect([...seen].sort()).toEqual(['new', 'old'])
  })

  it('takes a batch out of the packs that it was merged into, whichever way it is hidden', async () => {
    const first = await load(testBatch(1_000))
    const month = first.month
    const others: TestBatch[] = []
    for (let i = 0; i < 11; i++) others.push(await load(testBatch(1_000, { month })))
    const [reverted, replaced, ...rest] = others as [TestBatch, TestBatch, ...TestBatch[]]
    const merged = async (ids: readonly string[]): Promise<number> => {
      const { rows } = await line.pool.query<{ n: number }>(
        `select count(distinct b.id)::int as n from batches b join price_packs p on p.batches @> array[b.no] where b.id = any($1)`,
        [ids],
      )
      return rows[0]!.n
    }
    const all = [first, ...others].map(({ id }) => id)
    await eventually(async () => (await merged(all)) === all.length, { what: 'all being merged' })
    const shown = (...batches: TestBatch[]) => visible(line, { ...first, lines: batches.flatMap(({ lines }) => lines) })
    expect(await shown(first, ...others)).toBe('all')
    await request(reverted.id)
    const next = await load(testBatch(900, { month }), { replaces: replaced.id })
    expect(await merged([reverted.id, replaced.id])).toBe(0)
    expect(await shown(first, next, ...rest)).toBe('all')
    await revert(next.id)
    expect(await shown(first, replaced, ...rest)).toBe('all')
  })

  it('by many at once happens once', async () => {
    const [old, next] = (await chain(50, 40)) as [TestBatch, TestBatch]
    const reverted = await Promise.all(Array.from({ length: 6 }, () => revert(next.id)))
    expect(reverted.map((each) => each.kind === 'reverted' && each.before).sort()).toEqual([
      ...[false, true, true, true, true, true],
    ])
    expect(await visible(line, old)).toBe('all')
  })

  describe('while its replacement is published: the first wins', () => {
    const pair = async () => {
      const old = await load(testBatch(20))
      const next = testBatch(10, { month: old.month })
      const headers = { batchId: next.id, replaces: old.id }
      return { old, next, records: await chunkRecords(line.topics.batches, headers, next.lines, { chunks: 2 }) }
    }
    // The statements that lock the batch; the one that is to win is held in the middle of its transaction.
    const PUBLISHES = 'select .* from batches b\\s+where no = \\$1 or .* for update'
    const REVERTS = 'select .*replaced_by as .* for update'

    it('revert', async () => {
      const { old, next, records } = await pair()
      await withTransaction(line.pool, async (client) => {
        expect(await revertIn(client, old.id, false, 7)).toMatchObject({ kind: 'reverted' })
        await line.send(records)
        await waitingFor(line.pool, PUBLISHES)
      })
      await line.reply(next.id)
      const facts = await factsOf(line, next)
      expect(facts).toMatchObject({ state: 'failed', error: 'replaces_reverted', visible: 'nothing' })
      expect((await ledgerOf(old.id)).state).toBe('reverted')
    })

    it('publication', async () => {
      const { old, next, records } = await pair()
      let reverting: Promise<Reverted>
      await withTransaction(line.pool, async (client) => {
        await client.query('lock table outbox in share mode') // to which a publication comes with both batches in hand
        await line.send(records)
        await waitingFor(line.pool, 'insert into outbox')
        reverting = revert(old.id)
        await waitingFor(line.pool, REVERTS)
      })
      const refused = { kind: 'refused', code: 'replaced', batch: { replacedBy: next.id } }
      expect(await reverting!).toMatchObject(refused)
      await line.reply(next.id)
      expect(await factsOf(line, next)).toEqual(succeeded(next))
    })
  })

  it('a replacement while rivals wait to replace the same batch', async () => {
    const [old, first] = (await chain(50, 40)) as [TestBatch, TestBatch]
    const rivals = Array.from({ length: 4 }, () => testBatch(30, { month: old.month }))
    const [reverted] = await Promise.all([
      revert(first.id),
      line.send(rivals.map((rival) => whole(rival, { replaces: old.id }))),
    ])
    expect(reverted).toMatchObject({ kind: 'reverted', shown: old.id })
    for (const { id } of rivals) await line.reply(id)
    const facts = await Promise.all(rivals.map((rival) => factsOf(line, rival)))
    const winners = facts.filter(({ state }) => state === 'succeeded')
    expect(winners.length).toBeLessThanOrEqual(1)
    for (const { error } of facts.filter(({ state }) => state === 'failed')) expect(error).toBe('replaces_replaced')
    const shown = winners.length === 0 ? old : rivals[facts.indexOf(winners[0]!)]!
    expect(await visible(line, shown)).toBe('all')
  })
})

describe('in the end', () => {
  it('everything was read and nothing is left', () => settled(line))
})
