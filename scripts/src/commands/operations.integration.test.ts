import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { type IncomingRecord } from '@rates/service/kafka'
import { topicNames } from '@rates/service/topics'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { settled, visible } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { programSettings, runRates } from '@rates/testing/program'
import { deadLetter } from '../../../services/ingest/src/dead-letters.ts'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { type Finding } from '../doctor/finding.ts'
import { type PlatformStatus } from '../status/look.ts'

let line: Line
let env: Record<string, string>
let worker: { name: string; stop(): Promise<void> }

beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  env = programSettings(line)
  worker = await startTestWorker(line)
})
afterAll(() => line.close())

const rates = (...args: string[]) => runRates(env, ...args)
const letters = (...args: string[]) => rates('dead-letters', ...args)
const send = (headers: Record<string, string>, value: Buffer | null, topic = line.topics.batches) =>
  line.send([{ topic, headers, value }])

/** A record of a lane as a worker sets it aside that three of its kind have died of. */
function setAside(own: Record<string, string>, value: Buffer | null, offset: bigint) {
  const headers = new Map(Object.entries(own))
  const timestamp = Date.parse('2026-11-21T12:00:00.123Z')
  const record: IncomingRecord = {
    topic: line.topics.batches,
    partition: 1,
    offset,
    key: null,
    timestamp,
    headers,
    value,
  }
  const { topic, ...letter } = deadLetter(record, 'internal_error', 'it ended 3 workers', line.topics.deadLetters)
  return send(letter.headers, letter.value as Buffer | null, topic)
}
const countLetters = async () => (await line.deadLetters()).length
/** In the order in which they were set aside: an id each. */
const idOf = async (test: (record: IncomingRecord) => boolean) => {
  const record = (await line.deadLetters()).find(test)!
  return `${record.partition}-${record.offset}`
}

describe('rates dead-letters', () => {
  const good = testBatch(30)
  const anonymous = testBatch(40)
  const conflicting = csv(testBatch(5).lines)

  it('lists them, newest first, by what they are', async () => {
    await send({ 'batch-id': good.id, 'content-type': 'text/csv' }, csv(good.lines))
    await line.reply(good.id)
    await send({}, Buffer.from('hello \u001b[31mred'))
    await eventually(async () => (await countLetters()) === 1)
    await send({ 'batch-id': good.id, 'content-type': 'text/csv' }, conflicting)
    await eventually(async () => (await countLetters()) === 2)
    await setAside({}, csv(anonymous.lines), 77n)
    await setAside({ 'batch-id': 'long' }, Buffer.alloc(1_950_000, 'x'), 78n)

    const all = await letters('list', '--json')
    const found = JSON.parse(all.out) as { reason: string; batchId: string; bytes: number; cut: string | null }[]
    expect(found.map(({ reason, bytes }) => [reason, bytes])).toEqual([
      ['internal_error', 1_900_000],
      ['internal_error', csv(anonymous.lines).length],
      ['id_conflict', conflicting.length],
      ['not_a_batch', 14],
    ])
    expect(found[0]!.cut).toBe('true; it had 1950000 bytes')
    const [newest, ofBatch, since] = await Promise.all([
      letters('list', '--reason', 'internal_error', '--limit', '1'),
      letters('list', '--batch', good.id),
      letters('list', '--since', '0.001s'),
    ])
    expect(newest.out).toMatch(/\n0-3 .* internal_error +long +1 900 000 /)
    expect(newest.out).toContain('There are older ones: --limit shows more.')
    expect(ofBatch.out.match(/\n0-/g)).toHaveLength(1)
    expect(since.out).toBe('There are no such dead letters.\n')
  })

  it('shows one with its headers, safe for the terminal, and gives its bytes', async () => {
    const bad = await idOf(({ headers }) => headers.get('dead-letter-reason') === 'not_a_batch')
    const conflict = await idOf(({ headers }) => headers.get('dead-letter-reason') === 'id_conflict')
    const [{ out }, own, raw, none] = await Promise.all([
      letters('show', bad),
      letters('show', conflict),
      letters('show', conflict, '--raw'),
      letters('show', '0-99'),
    ])
    expect(out).toContain('reason     not_a_batch\n')
    expect(out).toContain('Its value:\n  hello \\u{1b}[31mred\n')
    expect(out).not.toContain('\u001b')
    expect(raw.out).toBe(conflicting.toString())
    expect(own.out).toContain(`Its own headers:\n  batch-id      ${good.id}\n`)
    expect(none).toMatchObject({ code: 1, err: 'There is no dead letter 0-99, or not any more.\n' })
  })

  it('sends one again once, however often it is told to', async () => {
    const [id, cut, conflict] = await Promise.all([
      idOf(({ headers }) => headers.get('dead-letter-offset') === '77'),
      idOf(({ headers }) => headers.get('dead-letter-offset') === '78'),
      idOf(({ headers }) => headers.get('dead-letter-reason') === 'id_conflict'),
    ])
    const batchId = `${line.topics.batches}-1-77-${Date.parse('2026-11-21T12:00:00.123Z')}`
    const planned = await letters('redrive', id, '--dry-run')
    expect(planned).toMatchObject({
      code: 0,
      out: `${id}  would be sent to ${line.topics.batches}; its batch: rates show ${batchId}\n`,
    })
    expect(await visible(line, anonymous)).toBe('nothing')

    // Before the ledger knows the batch, both of two are sent; they are one batch all the same.
    const before = await line.admin.ends(line.topics.batches)
    await worker.stop()
    const twice = await Promise.all([letters('redrive', id), letters('redrive', id)])
    for (const { out } of twice) expect(out).toContain(`${id}  sent to`)
    const sent = (await line.admin.ends(line.topics.batches)).reduce((sum, { high }) => sum + high, 0n)
    expect(sent - before.reduce((sum, { high }) => sum + high, 0n)).toBe(2n)
    worker = await startTestWorker(line)
    expect(await line.reply(batchId)).toMatchObject({ state: 'succeeded', rows: { accepted: 40 } })
    await settled(line)
    expect(await visible(line, anonymous)).toBe('all')

    const refused = await letters('redrive', id, cut, conflict, '--json')
    expect(refused.code).toBe(1)
    expect(
      (JSON.parse(refused.out) as { id: string; refused: string }[]).map((each) => [each.id, each.refused]),
    ).toEqual([
      [conflict, `it belongs to batch ${good.id}, which has ended: succeeded`],
      [id, `it belongs to batch ${batchId}, which has ended: succeeded`],
      [cut, expect.stringContaining('it was cut (true; it had 1950000 bytes)')],
    ])
    expect(await visible(line, anonymous)).toBe('all')
  })

  it('sends all of a kind again, if that is meant', async () => {
    const batches = [testBatch(10), testBatch(11), testBatch(12)]
    for (const [i, batch] of batches.entries()) await setAside({ source: 'acme' }, csv(batch.lines), BigInt(100 + i))
    const [unasked, nothing, both] = await Promise.all([
      letters('redrive', '--all', '--reason', 'internal_error'),
      letters('redrive'),
      letters('redrive', '0-1', '--reason', 'empty'),
    ])
    expect([nothing.code, both.code]).toEqual([2, 2])
    expect(unasked).toMatchObject({ code: 2, err: expect.stringContaining('--yes') })
    expect(unasked.out).toContain('3 dead letters can be sent again, 2 cannot.')
    const done = await letters('redrive', '--all', '--reason', 'internal_error', '--yes', '--json')
    expect(JSON.parse(done.out)).toMatchObject({ sent: 3, refused: 2 })
    await eventually(async () =>
      (await Promise.all(batches.map((each) => visible(line, each)))).every((seen) => seen === 'all'),
    )
    const again = await letters('redrive', '--all', '--reason', 'internal_error', '--yes', '--json')
    expect(JSON.parse(again.out)).toMatchObject({ sent: 0, sendable: 0, refused: 5 })
  })

  it('says again whence a record came that is set aside once more', async () => {
    const id = await idOf(({ headers }) => headers.get('dead-letter-reason') === 'not_a_batch')
    expect((await letters('redrive', id)).code).toBe(0)
    // It has a batch now, so that its end is told.
    const batchId = await eventually(async () => {
      const { rows } = await line.pool.query<{ id: string }>(
        `select id from batches where error ->> 'code' = 'unreadable'`,
      )
      return rows[0]?.id
    })
    expect(batchId).toMatch(/rates\.batches-\d+-\d+-\d+$/)
    expect((await letters('redrive', id)).out).toContain('which has ended: failed')
  })
})

describe('many dead letters', () => {
  it('are read backwards, piece by piece', async () => {
    const before = await countLetters()
    const headers = { 'dead-letter-reason': 'filler' }
    const fillers = Array.from({ length: 450 }, (_, i) => ({
      topic: line.topics.deadLetters,
      headers,
      value: Buffer.from(String(i)),
    }))
    await line.send(fillers)
    const { out } = await letters('list', '--reason', 'filler', '--limit', '440', '--json')
    const ids = (JSON.parse(out) as { id: string }[]).map(({ id }) => id)
    expect(ids).toEqual(Array.from({ length: 440 }, (_, i) => `0-${before + 449 - i}`))
    const oldest = await letters('list', '--reason', 'not_a_batch', '--json')
    expect((JSON.parse(oldest.out) as { id: string }[]).map(({ id }) => id)).toEqual(['0-0'])
  })
})

describe('rates status', () => {
  it('tells what runs and how far it is', async () => {
    await settled(line)
    const [status, page, away] = await Promise.all([
      rates('status', '--json'),
      rates('status'),
      runRates({ ...env, KAFKA_BROKERS: '127.0.0.1:1' }, 'status'),
    ])
    const found = JSON.parse(status.out) as PlatformStatus
    expect(found.kafka).toMatchObject({
      deadLetters: await countLetters(),
      lanes: [line.topics.batches, line.topics.bulk].map((topic) => ({
        topic,
        partitions: 2,
        lag: 0,
        workers: [{ name: worker.name, partitions: [0, 1] }],
      })),
      queries: { topic: line.topics.queries, lag: 0, workers: [] },
      objects: { topic: line.topics.objects, lag: 0, workers: [] },
    })
    const { rows } = await line.pool.query<{ n: number }>(
      `select count(*)::int as n from batches where state = 'failed'`,
    )
    expect(found.ledger).toMatchObject({
      open: 0,
      failedInDay: rows[0]!.n,
      repliesUnsent: 0,
      objects: { waiting: 0, loading: 0, oldest: null },
      lastPublished: { rows: expect.any(Number) },
    })
    expect(status.code).toBe(0)
    expect(page.out).toMatch(new RegExp(`1 worker on 2 partitions +${worker.name}: 0-1\n`))
    expect(away).toMatchObject({
      code: 3,
      out: expect.stringContaining('unknown: Kafka cannot be reached at 127.0.0.1:1'),
    })
  })
})

describe('rates doctor', () => {
  const examine = async (more: Record<string, string> = {}) => {
    const { code, out } = await runRates({ ...env, ...more }, 'doctor', '--json')
    const { findings } = JSON.parse(out) as { findings: Finding[] }
    const bad = (level: Finding['level']) => findings.filter((each) => each.level === level)
    return { code, faults: bad('fault'), warnings: bad('warning'), findings }
  }
  const checks = (findings: Finding[]) => findings.map(({ check }) => check)
  const maintain = async (...statements: string[]) => {
    for (const statement of statements) await line.pool.query(statement)
  }

  it('finds on a platform that works only what tests do without', async () => {
    const { code, faults, findings } = await examine()
    // The test servers need not survive a crash.
    expect(checks(faults)).toEqual(['fsync', 'full_page_writes'])
    expect(code).toBe(1)
    for (const check of ['schema', 'role', line.groups.batches, line.groups.bulk, ...Object.values(line.topics)]) {
      expect(findings).toContainEqual(expect.objectContaining({ check, level: 'ok' }))
    }
  })

  it('finds topics that lose records, a schema that is not there and nobody who reads', async () => {
    const prefix = `${line.prefix}ill.`
    const names = topicNames(prefix)
    const empty = `rates_ill_${randomBytes(4).toString('hex')}`
    const url = new URL(line.databaseUrl)
    url.pathname = `/${empty}`
    await maintain(`create database ${empty}`)
    try {
      await line.admin.createTopic(names.batches, 1, 1, { 'max.message.bytes': '500000', 'retention.ms': '3600000' })
      await line.admin.createTopic(names.bulk, 1, 1, {
        'message.timestamp.type': 'LogAppendTime',
        'retention.ms': '-1',
      })
      await line.admin.createTopic(names.deadLetters, 1, 1, { 'max.message.bytes': '1000000' })
      await send({}, Buffer.from('x'), names.bulk)
      const settings = { DATABASE_URL: url.href, KAFKA_PREFIX: prefix, LEDGER_RETENTION_DAYS: '400' }
      const { faults } = await examine(settings)
      const told = faults.map(({ check, found }) => `${check}: ${found}`)
      expect(told).toEqual([
        expect.stringMatching(/^schema: not applied: 0001_schema, /),
        'fsync: off',
        'full_page_writes: off',
        `${names.replies}: it is not there`,
        `${names.queries}: it is not there`,
        `${names.objects}: it is not there`,
        `${names.batches}: it takes records of 500 000 bytes, not of 920 000`,
        `${names.batches}: records are kept for 1 h 0 min, not for 7 days: batches that wait longer than that are lost`,
        `${names.batches}: records have their senders' times, on which time limits and rewinding must not run`,
        `${names.bulk}: records are kept for ever, the ledger for 400 d: what it has forgotten would be applied again`,
        `${names.deadLetters}: it takes records of 1 000 000 bytes, not of 2 097 152`,
        expect.stringContaining('rates-ingest-bulk: 0 members, 1 record behind'),
      ])
      expect(faults.every(({ remedy }) => remedy !== undefined)).toBe(true)
    } finally {
      await maintain(`drop database ${empty}`)
      await line.admin.deleteTopics([names.batches, names.bulk, names.deadLetters])
    }
  })

  it('finds a role that may not do what the services do, and servers that are away', async () => {
    const role = `rates_reader_${randomBytes(4).toString('hex')}`
    const url = new URL(line.databaseUrl)
    Object.assign(url, { username: role, password: 'x' })
    await maintain(
      `create role ${role} login password 'x'`,
      `grant select on all tables in schema public to ${role}`,
      `grant insert, update, delete on batches to ${role}`,
    )
    try {
      const { faults } = await examine({ DATABASE_URL: url.href, KAFKA_BROKERS: '127.0.0.1:1' })
      const denied = faults.find(({ check }) => check === 'role')!
      expect(denied.found).toContain(`${role} may not: `)
      expect(denied.found).toContain('insert on batch_chunks')
      expect(denied.found).not.toContain('on batches')
      expect(denied.remedy).toMatch(new RegExp(`^grant \\w+ on \\w+ to "${role}";`))
      expect(faults.at(-1)).toMatchObject({
        area: 'Kafka',
        check: 'reachable',
        found: expect.stringContaining('ECONNREFUSED'),
      })
    } finally {
      await maintain(`drop owned by ${role}`, `drop role ${role}`)
    }
  })
})
