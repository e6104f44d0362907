import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { objectBatchId } from '@rates/service/object-batch-id'
import { csv, sha256Hex, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants } from '@rates/testing/invariants'
import { programSettings, runRates, startRates, type Ran } from '@rates/testing/program'
import { startObjectLine, type ObjectLine } from '../../../services/ingest/src/test-objects.ts'
import { startTestWorker, type TestWorker } from '../../../services/ingest/src/test-worker.ts'

let line: ObjectLine
let worker: TestWorker
let env: Record<string, string>

beforeAll(async () => {
  line = await startObjectLine()
  worker = await startTestWorker(line, line.settings)
  env = programSettings(line)
}, 600_000)
afterAll(() => line?.close())

const load = (...args: string[]): Promise<Ran> => runRates(env, 'load', ...args)
const url = (key: string): string => `s3://${line.bucket}/${key}`

describe('rates load', () => {
  it('loads an object that this machine cannot read, and tells the outcome', async () => {
    const batch = testBatch(20_000, { id: 'one' })
    const body = csv(batch.lines)
    await line.put('a folder/ü+%.csv', body)
    const args = [url('a folder/ü+%.csv'), '--batch-id', 'one', '--source', 'acme', '--sha256', sha256Hex(body)]
    const first = await load(...args)
    expect(first.code).toBe(0)
    expect(first.out).toMatch(
      /^batch one of s3:\/\/.*\/a folder\/ü\+%\.csv\nsucceeded: 20 000 rows in \d+ chunks?, visible .* after it was asked for\n$/,
    )
    await expectInvariants(line, [{ batch }])
    // The same once more changes nothing.
    expect(await load(...args)).toMatchObject({ code: 0, out: expect.stringContaining('succeeded before, at ') })
    await expectInvariants(line, [{ batch }])
  })

  it('names a pinned object by itself, prints its reply as JSON, and does not wait where it need not', async () => {
    const lines = testBatch(500)
    const etag = await line.put('pinned.csv', csv(lines.lines))
    const batch = { ...lines, id: objectBatchId({ bucket: line.bucket, key: 'pinned.csv', etag }) }
    const sent = await load(url('pinned.csv'), '--etag', etag, '--no-wait')
    expect(sent).toMatchObject({ code: 0, out: expect.stringContaining(`its batch: rates watch ${batch.id}\n`) })
    const told = await load(url('pinned.csv'), '--etag', etag, '--json')
    expect(told).toMatchObject({ code: 0, err: expect.stringContaining(`batch ${batch.id} of s3://`) })
    expect(JSON.parse(told.out)).toMatchObject({ batchId: batch.id, state: 'succeeded', rows: { accepted: 500 } })
    await expectInvariants(line, [{ batch }])
  })

  it('loads several side by side: one that fails keeps nobody, and tells in the exit code', async () => {
    const good = testBatch(300)
    const bad = [...testBatch(300).lines]
    bad[7] = 'CNGGZ,XXXXX,1971-01-01,1'
    await Promise.all([line.put('good.csv', csv(good.lines)), line.put('bad.csv', csv(bad))])
    const ran = await load(url('good.csv'), url('missing.csv'), url('bad.csv'), 's3://other-bucket/a.csv')
    expect(ran.code).toBe(1)
    expect(ran.out.match(/^batch cli-/gm)).toHaveLength(4)
    expect(ran.out).toMatch(new RegExp(`^succeeded: ${url('good.csv')}: 300 rows in 1 chunk, visible `, 'm'))
    expect(ran.out).toMatch(new RegExp(`^failed \\(object_not_found\\): there is no ${url('missing.csv')}$`, 'm'))
    expect(ran.out).toMatch(new RegExp(`^failed: ${url('bad.csv')}: 1 of 300 rows breaks a rule; `, 'm'))
    expect(ran.out).toMatch(/^failed \(bucket_not_allowed\): s3:\/\/other-bucket\/a\.csv: /m)
  })

  it('checks every row of a dry run and stores nothing', async () => {
    await line.put('dry.csv', csv(testBatch(100).lines))
    const ran = await load(url('dry.csv'), '--dry-run')
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('succeeded (dry run): 100 rows') })
  })

  it('cancels at Ctrl-C what has not begun', async () => {
    await worker.stop() // nobody reads what is asked for
    await line.put('late.csv', csv(testBatch(100).lines))
    const running = startRates(env, ['load', url('late.csv'), '--batch-id', 'late'])
    await eventually(() => Promise.resolve(running.said.err.includes('waiting for the reply')), { what: 'it waiting' })
    running.child.kill('SIGINT')
    await eventually(() => Promise.resolve(running.said.err.includes('cancelling the batch')), {
      what: 'it cancelling',
    })
    worker = await startTestWorker(line, line.settings)
    const { code, out } = await running.ended
    expect([code, (await line.reply('late')).state]).toEqual([4, 'cancelled'])
    expect(out).toMatch(/^batch late of s3:\/\/[^\n]*\n/)
    await expectInvariants(line, [{ batch: testBatch(0, { id: 'late' }), state: 'cancelled' }])
  })
})
