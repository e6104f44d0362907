import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { saveTables } from '@rates/testing/saved-tables'
import { startWorkerProcess } from '@rates/testing/workers'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { PackReader, READ_COLUMNS } from './pack-reader.ts'
import { PackSums } from './pack-sums.ts'
import { UnknownBatch, verify, type FaultKind } from './verify.ts'

let line: Line
let saved: Awaited<ReturnType<typeof saveTables>>
const large = testBatch(30_000)
const small = testBatch(300)
const failed = testBatch(50)
const dry = testBatch(40)
const open = testBatch(600)
const old = testBatch(80)
const fresh = testBatch(90)
const reverted = testBatch(70)
const trimmed = testBatch(400)
const month = testBatch(0).month
const day = (of: number, price: number): string => `CNGGZ,NLRTM,${month}-0${of},${price}`
const merged: TestBatch[] = [
  { ...testBatch(0), lines: [day(1, 100), day(1, 200), day(3, 300)] },
  { ...testBatch(0), lines: [day(1, 150), day(2, 50)] },
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
  const loading = await chunkRecords(line.topics.bulk, { batchId: open.id }, open.lines, { chunks: 3 })
  await line.send(loading.slice(0, 2))
  await line.send(await chunkRecords(line.topics.bulk, { batchId: large.id }, large.lines, { chunks: 4 }))
  const singles = [small, failed, old, reverted, trimmed, ...merged].map((batch) => whole(batch))
  await line.send([...singles, whole(dry, { 'dry-run': 'true' })])
  await line.reply(old.id)
  await line.send([whole(fresh, { replaces: old.id })])
  for (const { id } of [large, small, failed, fresh, reverted, trimmed, ...merged, dry]) await line.reply(id)
  await eventually(
    async () => (await line.pool.query('select from batches where purged_at is not null')).rowCount === 1,
  )
  worker.signal('SIGTERM')
  await worker.exited
  const no = (id: string): string => `(select no from batches where id = '${id}')`
  const [first, second] = merged.map(({ id }) => no(id))
  await line.pool.query(`
    update batches set state = 'reverted' where id = '${reverted.id}';
    insert into hidden_batches values (${no(reverted.id)});
    update batches set trimmed_at = now() where id = '${trimmed.id}';
    delete from price_packs where batch_no = ${no(trimmed.id)} and orig % 2 = 0;
    update price_packs set batch_no = ${second}, days = '{0,1,2}', n = '{3,1,1}', s = '{450,50,300}',
      prices = '{100,200,150,50,300}', batches = array[${first}, ${second}, ${second}, ${first}], batch_n = '{2,1,1,1}'
      where batch_no = ${first};
    delete from price_packs where batch_no = ${second} and batches is null`)
  saved = await saveTables(line.pool)
})
afterAll(() => line.close())

const all = () => verify(line.databaseUrl, 'all')
const one = ({ id }: TestBatch, dryRun = false) => verify(line.databaseUrl, { id, dryRun })

describe('verifying', () => {
  it('proves all batches in one pass, and says of which it cannot', async () => {
    let told: [number, number] = [0, 0]
    const result = await verify(line.databaseUrl, 'all', { onProgress: (rows, total) => (told = [rows, total]) })
    expect(result.faults).toEqual([])
    expect(result).toMatchObject({
      batch: null,
      verdicts: { proven: 7, unproven: 1, gone: 2, hidden: 0, open: 1 },
      faulty: 0,
      faultCount: 0,
    })
    const { rows } = await line.pool.query<{ n: number; packs: number }>(
      `select sum(cardinality(prices))::int as n, count(*)::int as packs from price_packs`,
    )
    expect(result).toMatchObject({ rows: rows[0]!.n, packs: rows[0]!.packs })
    expect(told).toEqual([rows[0]!.n, 30_000 + 300 + 80 + 90 + 70 + 400 + 5])
  })

  it('proves one, from its own packs and from merged ones', async () => {
    const proof = { verdict: 'proven', rowsStored: 30_000, digest: large.digest, mergedPacks: 0 }
    expect(await one(large)).toMatchObject({ faultCount: 0, batch: { ...proof, state: 'succeeded' } })
    expect((await one(merged[0]!)).batch).toMatchObject({ verdict: 'proven', rowsStored: 3, packs: 0, mergedPacks: 1 })
    expect((await one(merged[1]!)).batch).toMatchObject({ verdict: 'proven', rowsStored: 2 })
    expect((await one(old)).batch).toMatchObject({ verdict: 'proven', state: 'replaced', rowsStored: 80, hidden: true })
    expect((await one(failed)).batch).toMatchObject({ verdict: 'gone', state: 'failed', purged: true })
    expect((await one(dry, true)).batch).toMatchObject({ verdict: 'gone', dryRun: true })
    expect((await one(open)).batch).toMatchObject({ verdict: 'open', rowsStored: 400 })
    expect((await one(trimmed)).batch).toMatchObject({ verdict: 'unproven' })
    await expect(one(dry)).rejects.toThrow(UnknownBatch)
  })

  it('reads one snapshot: what is committed meanwhile changes nothing', async () => {
    const result = await verify(line.databaseUrl, 'all', {
      onProgress: () => void line.pool.query('delete from price_packs where batch_no = 1').catch(() => undefined),
    })
    expect(result.faults).toEqual([])
    await eventually(async () => (await line.pool.query('select from price_packs where batch_no = 1')).rowCount === 0)
    await saved.restore()
  })

  it('reads the stream the same however it is cut', async () => {
    const client = new pg.Client({ connectionString: line.databaseUrl })
    await client.connect()
    const stream = client.query(copyTo(`copy price_packs (${READ_COLUMNS}) to stdout (format binary)`))
    const bytes = Buffer.concat(await (stream as unknown as { toArray(): Promise<Buffer[]> }).toArray())
    const { rows: ports } = await client.query<{ code: string; id: number }>('select code, id from ports')
    await client.end()
    const sumsOf = (size: number): unknown => {
      const [reader, sums] = [new PackReader(), new PackSums(ports)]
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.subarray(at, at + size))
        while (reader.next()) sums.add(reader)
      }
      return [...sums.batches].map(([no, { rows, digest }]) => [no, rows, Buffer.from(digest.bytes()).toString('hex')])
    }
    const expected = sumsOf(bytes.length)
    expect(expected).toHaveLength(9)
    for (const size of [1, 7, 1_000, 65_536]) expect(sumsOf(size)).toEqual(expected)
  })
})

describe('a fault that was put there', () => {
  const no = (batch: TestBatch): string => `(select no from batches where id = '${batch.id}' and not dry_run)`
  const aPack = (batch: TestBatch): string =>
    `ctid = (select ctid from price_packs where batch_no = ${no(batch)} order by ctid limit 1)`
  const cases: [string, string, TestBatch | null, FaultKind[]][] = [
    ['a lost pack', `delete from price_packs where ${aPack(large)}`, large, ['rows', 'digest']],
    [
      'a doubled pack',
      `insert into price_packs select * from price_packs where ${aPack(small)}`,
      small,
      ['rows', 'digest'],
    ],
    [
      'another price, sums made to agree',
      `update price_packs set prices[1] = prices[1] + 1, s[1] = s[1] + 1 where ${aPack(large)}`,
      large,
      ['digest'],
    ],
    [
      'another day',
      `update price_packs set days[1] = (days[1] + 1) % 28 where cardinality(days) = 1 and ${aPack(old)}`,
      old,
      ['digest'],
    ],
    [
      'two batches’ rows swapped',
      `update price_packs set batch_no = ${no(large)} where ${aPack(small)}`,
      small,
      ['rows', 'digest'],
    ],
    [
      'another sum',
      `update price_packs set s[1] = s[1] + 1 where ${aPack(large)}`,
      large,
      ['pack_sum', 'rows', 'digest'],
    ],
    [
      'another count',
      `update price_packs set n[1] = n[1] + 1 where ${aPack(large)}`,
      large,
      ['pack_sum', 'rows', 'digest'],
    ],
    [
      'a price too many',
      `update price_packs set prices = prices || 7 where ${aPack(large)}`,
      large,
      ['pack_counts', 'rows', 'digest'],
    ],
    [
      'days in disorder',
      `update price_packs set days[1] = 30 where cardinality(days) > 1 and ${aPack(large)}`,
      large,
      ['pack_shape', 'rows', 'digest'],
    ],
    [
      'a null among prices',
      `update price_packs set prices[1] = null where ${aPack(large)}`,
      large,
      ['pack_shape', 'rows', 'digest'],
    ],
    [
      'a month’s second day',
      `update price_packs set month = month + 1 where ${aPack(large)}`,
      large,
      ['pack_shape', 'rows', 'digest'],
    ],
    [
      'a port that is none',
      `update price_packs set orig = 99999 where ${aPack(large)}`,
      large,
      ['pack_port', 'rows', 'digest'],
    ],
    [
      'a merged pack that gives a row to the other batch',
      `update price_packs set batch_n = '{1,2,1,1}' where batches is not null`,
      merged[0]!,
      ['rows', 'digest'],
    ],
    [
      'a merged pack whose counts do not add up',
      `update price_packs set batch_n = '{2,2,1,1}' where batches is not null`,
      merged[0]!,
      ['rows', 'digest'],
    ],
    [
      'a merged pack under another number',
      `update price_packs set batch_no = ${no(merged[0]!)} where batches is not null`,
      merged[0]!,
      ['merged_pack', 'rows', 'digest'],
    ],
    [
      'other accepted rows in the ledger',
      `update batches set rows_accepted = 299 where no = ${no(small)}`,
      small,
      ['ledger', 'rows'],
    ],
    [
      'another digest in the ledger',
      `update batches set digest = decode(md5('x'), 'hex') where no = ${no(small)}`,
      small,
      ['ledger', 'digest'],
    ],
    [
      'a lost chunk',
      `delete from batch_chunks where batch_no = ${no(large)} and chunk = 2`,
      large,
      ['ledger', 'ledger', 'ledger'],
    ],
    ['a batch that is hidden and should not be', `insert into hidden_batches values (${no(small)})`, small, ['hidden']],
    [
      'an open batch that is not hidden',
      `delete from hidden_batches where batch_no = ${no(open)}`,
      open,
      ['not_hidden'],
    ],
    [
      'a reverted batch that is not hidden',
      `delete from hidden_batches where batch_no = ${no(reverted)}`,
      reverted,
      ['not_hidden'],
    ],
    ['a loading batch that lost a pack', `delete from price_packs where ${aPack(open)}`, open, ['rows', 'digest']],
    [
      'a purged batch with packs',
      `update price_packs set batch_no = ${no(failed)} where ${aPack(trimmed)}`,
      failed,
      ['not_purged'],
    ],
    ['a purged batch that is hidden still', `insert into hidden_batches values (${no(failed)})`, failed, ['hidden']],
    [
      'a trimmed batch with too many rows',
      `update price_packs set batch_no = ${no(trimmed)} where batch_no = ${no(large)}`,
      trimmed,
      ['rows'],
    ],
    [
      'a reverted batch in a merged pack',
      `update batches set state = 'reverted' where no = ${no(merged[0]!)}`,
      merged[0]!,
      ['not_hidden', 'merged_hidden'],
    ],
    [
      'old and new both there',
      `update batches set state = 'succeeded', replaced_by = null where no = ${no(old)}`,
      fresh,
      ['replacement'],
    ],
    [
      'replaced by one that failed',
      `update batches set state = 'failed' where no = ${no(fresh)}`,
      old,
      ['replacement'],
    ],
    [
      'packs of no batch',
      `insert into price_packs select 777, orig, dest, month, days, n, s, prices from price_packs where ${aPack(small)}`,
      null,
      ['orphan_packs'],
    ],
    ['a hidden row of no batch', `insert into hidden_batches values (777)`, null, ['orphan_hidden']],
  ]

  it.each(cases)('%s is found', async (_, sql, batch, kinds) => {
    await saved.tamper(sql)
    try {
      const { faults } = await all()
      const found = faults.filter(({ batchId, batchNo }) => (batch ? batchId === batch.id : batchNo === 777))
      expect(found.map(({ kind }) => kind)).toEqual(kinds)
      for (const { message } of found) expect(message).not.toMatch(/undefined|NaN/)
      // Alone as well, if it has a name.
      if (!batch) return
      const alone = await one(batch)
      expect(alone.faults.filter(({ batchId }) => batchId === batch.id).map(({ kind }) => kind)).toEqual(kinds)
    } finally {
      await saved.restore()
    }
  })

  it('is gone once it was taken back', async () => {
    expect((await all()).faults).toEqual([])
  })
})
