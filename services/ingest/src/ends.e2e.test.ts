import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { cancelBatch } from '@rates/service/produce-batch'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants, type Sent } from '@rates/testing/invariants'
import { factsOf, settled, succeeded, visible } from '@rates/testing/facts'
import { seenReply, startLine, type Line, type Watched } from '@rates/testing/line'
import { holdPacks } from '@rates/testing/workers'
import { startTestWorker } from './test-worker.ts'

// The ends that a batch may come to besides all rows being good (design rules 3, 5 and 10, and the wire).

let line: Line
let teamTopic: string
let team: Watched
/** Everything that the tests have sent, and what has to have become of it in the end. */
const sent: Sent[] = []
const accept = (batch: TestBatch, end: Omit<Sent, 'batch'> = {}): TestBatch => {
  sent.push({ batch, ...end })
  return batch
}
beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  teamTopic = `${line.prefix}team.replies`
  await line.admin.createTopic(teamTopic, 1, 1, {})
  team = await line.watch(teamTopic)
  // In the time limit even a busy machine takes two chunks.
  const settings = { CHUNK_TIMEOUT_SECONDS: '4', REPLY_TOPICS: `${teamTopic},${line.prefix}not.there` }
  await Promise.all([startTestWorker(line, settings), startTestWorker(line, settings)])
})
afterAll(() => line.close())

const whole = (batch: TestBatch, headers: Record<string, string> = {}) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value: csv(batch.lines),
})

const chunked = (batch: TestBatch, chunks: number, more: Partial<Parameters<typeof chunkRecords>[1]> = {}) =>
  chunkRecords(line.topics.batches, { batchId: batch.id, ...more }, batch.lines, { chunks, total: 'last' })

const open = (id: string) =>
  eventually(async () => (await line.pool.query('select from batches where id = $1', [id])).rowCount === 1)

describe('a batch whose chunks never all come', () => {
  it('fails and names the missing ones', async () => {
    const batch = accept(testBatch(700), { state: 'failed', error: 'incomplete' })
    const records = await chunked(batch, 7)
    await line.send([0, 3, 4, 6].map((at) => records[at]!))
    expect(await line.reply(batch.id)).toMatchObject({
      state: 'failed',
      rows: { accepted: 400, rejected: 0 },
      error: { code: 'incomplete', missingChunks: [1, 2, 5], message: expect.stringContaining('1, 2, 5') },
    })
    // Too late: nothing changes any more.
    await line.send([1, 2, 5].map((at) => records[at]!))
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'failed',
      visible: 'nothing',
      replies: [`${batch.id}/failed`],
    })
  })

  it('fails and says so if the one that tells the total never came', async () => {
    const batch = accept(testBatch(300), { state: 'failed', error: 'incomplete' })
    await line.send((await chunked(batch, 3)).slice(0, 2))
    const reply = await line.reply(batch.id)
    expect(reply).toMatchObject({ state: 'failed', chunks: null, error: { code: 'incomplete' } })
    expect(reply.error!.message).toContain('how many')
    expect(reply.error!.missingChunks).toBeUndefined()
  })

  it('does not fail while a chunk of it comes within each time limit', async () => {
    const batch = accept(testBatch(60))
    for (const record of await chunked(batch, 6)) {
      await line.send([record])
      await line.pool.query('select pg_sleep(1)')
    }
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })
})

describe('a deadline that passed', () => {
  const past = '2026-01-02T03:04:05Z'
  it('fails the batch', async () => {
    const batch = accept(testBatch(20), { state: 'failed', error: 'deadline_passed' })
    await line.send([whole(batch, { deadline: past })])
    expect(await line.reply(batch.id)).toMatchObject({ state: 'failed', error: { code: 'deadline_passed' } })
    expect(await factsOf(line, batch)).toMatchObject({ state: 'failed', visible: 'nothing' })
  })

  it('fails a batch that is still loading', async () => {
    const batch = accept(testBatch(20), { state: 'failed', error: 'deadline_passed' })
    const deadline = new Date(Date.now() + 400).toISOString()
    await line.send((await chunked(batch, 2, { deadline })).slice(0, 1))
    const reply = await line.reply(batch.id)
    expect(reply.error).toMatchObject({ code: 'deadline_passed' })
    expect(Date.parse(reply.finishedAt)).toBeGreaterThan(Date.parse(deadline))
  })

  it('fails a batch whose last chunk came in time and was stored too late', async () => {
    const batch = accept(testBatch(20), { state: 'failed', error: 'deadline_passed' })
    const deadline = new Date(Date.now() + 8_000).toISOString() // enough for both to be taken, on a busy machine, too
    const [first, last] = await chunked(batch, 2, { deadline })
    await line.send([first!])
    await open(batch.id)
    const packs = await holdPacks(line)
    await line.send([last!])
    await packs.waiting(1)
    await eventually(() => Promise.resolve(Date.now() > Date.parse(deadline)))
    await packs.release()
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toMatchObject({ state: 'failed', error: 'deadline_passed', visible: 'nothing' })
  })

  it('that is still to come changes nothing', async () => {
    const batch = accept(testBatch(30))
    const deadline = new Date(Date.now() + 60_000).toISOString()
    await line.send(await chunked(batch, 3, { deadline }))
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('goes on loading if the sender only wants it noted, however late the rest comes', async () => {
    const batch = accept(testBatch(30))
    const deadline = new Date(Date.now() + 200).toISOString()
    const [first, ...rest] = await chunked(batch, 3, { deadline, onDeadline: 'flag' })
    await line.send([first!])
    await open(batch.id)
    await eventually(() => Promise.resolve(Date.now() > Date.parse(deadline) + 300))
    await line.send(rest)
    const reply = await line.reply(batch.id)
    expect(Date.parse(reply.finishedAt)).toBeGreaterThan(Date.parse(deadline))
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('is only noted if the sender says so', async () => {
    const batch = accept(testBatch(20))
    await line.send([whole(batch, { deadline: past, 'on-deadline': 'flag' })])
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    const { rows } = await line.pool.query('select deadline, on_deadline from batches where id = $1', [batch.id])
    expect(rows[0]).toEqual({ deadline: new Date(past), on_deadline: 'flag' })
  })
})

describe('cancelling', () => {
  it('before the first chunk: what comes afterwards is not taken, and not answered again', async () => {
    const batch = accept(testBatch(30), { state: 'cancelled', error: 'cancelled' })
    await cancelBatch(line.producer, line.topics, { batchId: batch.id })
    expect(await line.reply(batch.id)).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } })
    await line.send(await chunked(batch, 3, { source: 'acme', correlationId: 'c' }))
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'cancelled',
      visible: 'nothing',
      replies: [`${batch.id}/cancelled`],
    })
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('in the middle', async () => {
    const batch = accept(testBatch(30), { state: 'cancelled', error: 'cancelled' })
    const records = await chunked(batch, 3)
    await line.send(records.slice(0, 2))
    await open(batch.id)
    await cancelBatch(line.producer, line.topics, { batchId: batch.id })
    expect(await line.reply(batch.id)).toMatchObject({ state: 'cancelled' })
    await line.send([records[2]!])
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'cancelled',
      visible: 'nothing',
      replies: [`${batch.id}/cancelled`],
    })
  })

  it('after the end does nothing', async () => {
    const batch = accept(testBatch(30))
    await line.send([whole(batch)])
    await line.reply(batch.id)
    await cancelBatch(line.producer, line.topics, { batchId: batch.id })
    await settled(line)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })
})

describe('replacing', () => {
  const send = async (batch: TestBatch, headers: Record<string, string>, chunks = 1): Promise<void> => {
    if (chunks === 1) await line.send([whole(batch, headers)])
    else await line.send(await chunked(batch, chunks, { source: headers['source'], replaces: headers['replaces'] }))
    await line.reply(batch.id)
  }

  it.each([1, 3])('hides the old batch and shows the new one (%i chunks) in one commit', async (chunks) => {
    const old = accept(testBatch(300), { state: 'replaced' })
    const next = accept(testBatch(250, { month: old.month }))
    await send(old, { source: 'acme' })
    const seen = new Set<string>()
    let done = false
    const poll = (async () => {
      while (!done) {
        const what = await visible(line, old)
        seen.add(what === 'all' ? 'old' : (await Promise.resolve(what)).startsWith('250 rows') ? 'new' : what)
      }
    })()
    await send(next, { source: 'acme', replaces: old.id }, chunks)
    done = true
    await poll
    expect([...seen].filter((what) => what !== 'old' && what !== 'new')).toEqual([])
    expect(await factsOf(line, next)).toEqual(succeeded(next))
    const { rows } = await line.pool.query('select state, replaced_by from batches where id = $1', [old.id])
    expect(rows[0]).toEqual({ state: 'replaced', replaced_by: next.id })
    // The first rival won.
    const rival = accept(testBatch(10, { month: old.month }), { state: 'failed', error: 'replaces_replaced' })
    await send(rival, { source: 'acme', replaces: old.id })
    expect(await factsOf(line, rival)).toMatchObject({ state: 'failed', error: 'replaces_replaced' })
    expect(await visible(line, next)).toBe('all')
  })

  it('a batch that is not there, of another source, failed, loading or itself fails', async () => {
    const other = accept(testBatch(10))
    await send(other, { source: 'other' })
    const bad = accept(testBatch(10), { state: 'failed', error: 'rejected_rows' })
    bad.lines[0] = 'x'
    await send(bad, { source: 'acme' })
    const loading = accept(testBatch(10), { state: 'failed', error: 'incomplete' })
    await line.send((await chunked(loading, 2, { source: 'acme' })).slice(0, 1))
    await open(loading.id)
    const self = testBatch(5)
    const cases: [TestBatch, string, string][] = [
      [testBatch(5), 'nobody', 'replaces_unknown'],
      [testBatch(5), other.id, 'replaces_other_source'],
      [testBatch(5), bad.id, 'replaces_failed'],
      [testBatch(5), loading.id, 'replaces_open'],
      [self, self.id, 'replaces_unknown'],
    ]
    for (const [batch, replaces, error] of cases) {
      await send(accept(batch, { state: 'failed', error }), { source: 'acme', replaces })
    }
    for (const [batch, , error] of cases) {
      expect(await factsOf(line, batch)).toMatchObject({ state: 'failed', error, visible: 'nothing' })
    }
    expect(await factsOf(line, other)).toEqual(succeeded(other))
  })

  it('two rivals at once: one wins, one fails, and its rows alone are seen', async () => {
    const old = accept(testBatch(100), { state: 'replaced' })
    await send(old, { source: 'acme' })
    const rivals = Array.from({ length: 4 }, () =>
      accept(testBatch(90, { month: old.month }), { state: ['succeeded', 'failed'] }),
    )
    await line.send(rivals.map((rival) => whole(rival, { source: 'acme', replaces: old.id })))
    for (const { id } of rivals) await line.reply(id)
    const facts = await Promise.all(rivals.map((rival) => factsOf(line, rival)))
    expect(facts.map(({ state }) => state).sort()).toEqual(['failed', 'failed', 'failed', 'succeeded'])
    expect(facts.filter(({ visible }) => visible === 'all').map(({ state }) => state)).toEqual(['succeeded'])
  })
})

describe('a dry run', () => {
  it.each([1, 3])('(%i chunks) stores no row, is answered, and leaves its id free', async (chunks) => {
    const batch = accept(accept(testBatch(120), { dryRun: true }))
    const records = await chunkRecords(line.topics.batches, { batchId: batch.id, dryRun: true }, batch.lines, {
      chunks,
    })
    await line.send(records)
    expect(await line.reply(batch.id)).toMatchObject({
      replyId: `${batch.id}/dry-run/succeeded`,
      state: 'succeeded',
      dryRun: true,
      rows: { accepted: 120, rejected: 0 },
      digest: batch.digest,
    })
    const { rows } = await line.pool.query<{ packs: number }>(
      'select count(p.*)::int as packs from batches b join price_packs p on p.batch_no = b.no where b.id = $1',
      [batch.id],
    )
    expect(rows[0]!.packs).toBe(0)
    expect(await visible(line, batch)).toBe('nothing')
    await line.send([whole(batch)])
    await eventually(async () => (await line.replies(batch.id)).length === 2)
    expect(await factsOf(line, batch)).toMatchObject({
      ...succeeded(batch),
      replies: [`${batch.id}/dry-run/succeeded`, `${batch.id}/succeeded`],
      replied: ['succeeded', 'succeeded'],
    })
  })

  it('tells what is wrong', async () => {
    const batch = accept(testBatch(10), { dryRun: true, state: 'failed', error: 'rejected_rows' })
    batch.lines[4] = 'CNGGZ,NLRTM,2001-13-01,5'
    await line.send([whole(batch, { 'dry-run': 'true' })])
    expect(await line.reply(batch.id)).toMatchObject({
      state: 'failed',
      dryRun: true,
      errors: [{ row: 5, field: 'day', value: '2001-13-01', rule: 'not_a_date' }],
    })
  })
})

describe('reply-to', () => {
  it.each([1, 3])('a topic of the allow-list gets the reply (%i chunks), with the sender’s ids', async (chunks) => {
    const batch = testBatch(30)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const headers = { batchId: batch.id, replyTo: teamTopic, correlationId: 'order-7', traceparent }
    await line.send(await chunkRecords(line.topics.batches, headers, batch.lines, { chunks }))
    const record = await eventually(async () =>
      (await team.all()).find(({ headers: sent }) => sent.get('batch-id') === batch.id),
    )
    expect(Object.fromEntries(record.headers)).toEqual({
      'reply-id': `${batch.id}/succeeded`,
      'batch-id': batch.id,
      'content-type': 'application/json',
      'correlation-id': 'order-7',
      traceparent,
    })
    accept(batch, { replies: [seenReply(record)] })
    expect(seenReply(record).reply).toMatchObject({ state: 'succeeded', correlationId: 'order-7' })
    expect(await line.replies(batch.id)).toEqual([])
    expect(await visible(line, batch)).toBe('all')
  })

  it.each([1, 3])('another topic fails the batch (%i chunks), and says so on the default one', async (chunks) => {
    const batch = accept(testBatch(30), { state: 'failed', error: 'reply_to_not_allowed' })
    const headers = { batchId: batch.id, replyTo: 'somebody.elses' }
    await line.send(await chunkRecords(line.topics.batches, headers, batch.lines, { chunks }))
    expect(await line.reply(batch.id)).toMatchObject({ state: 'failed', error: { code: 'reply_to_not_allowed' } })
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'failed',
      visible: 'nothing',
      replies: [`${batch.id}/failed`],
    })
  })

  it('a topic that is allowed but not there keeps no other reply back', async () => {
    const [lost, next] = [testBatch(5), accept(testBatch(5))]
    await line.send([whole(lost, { 'reply-to': `${line.prefix}not.there` })])
    await eventually(async () => (await factsOf(line, lost)).state === 'succeeded')
    await line.send([whole(next)])
    await line.reply(next.id)
    // Once the topic is there, the reply arrives.
    await line.admin.createTopic(`${line.prefix}not.there`, 1, 1, {})
    const watched = await line.watch(`${line.prefix}not.there`)
    await eventually(async () => (await watched.all()).length === 1, { within: 60_000 })
    accept(lost, { replies: (await watched.all()).map(seenReply) })
  })
})

describe('in the end', () => {
  it('every batch is what it has to be, and nothing is left', () => expectInvariants(line, sent))
})
