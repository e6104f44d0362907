import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { programSettings, runRates, startRates, type Running } from '@rates/testing/program'
import { startApiProcess } from '@rates/testing/workers'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { startTestApp, type TestApp } from '../../../services/rates-api/src/test-app.ts'

let line: Line
let api: TestApp
beforeAll(async () => {
  line = await startLine()
  await startTestWorker(line)
  const { DATABASE_URL, KAFKA_BROKERS, KAFKA_PREFIX } = programSettings(line) as Record<string, string>
  api = await startTestApp({ DATABASE_URL: DATABASE_URL!, KAFKA_BROKERS: KAFKA_BROKERS!, KAFKA_PREFIX: KAFKA_PREFIX! })
  line.defer(() => api.close())
})
afterAll(() => line.close())

const watch = (url: string, ...args: string[]): Running => startRates({}, ['watch', '--url', url, ...args])
const says = (running: Running, text: string | RegExp, stream: 'out' | 'err' = 'out'): Promise<true> => {
  const found = (said: string): boolean => (typeof text === 'string' ? said.includes(text) : text.test(said))
  return eventually(() => Promise.resolve(found(running.said[stream])), { within: 30_000, what: `saying ${text}` })
}
/** Over Kafka, in one record. */
async function send(id: string, lines: readonly string[], headers: Record<string, string> = {}): Promise<void> {
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': id, ...headers }, value: csv(lines) }])
}
const open = (id: string): Promise<unknown> =>
  line.pool.query(`insert into batches (id, state, source) values ($1, 'open', 'acme')`, [id])

describe('rates watch ID', () => {
  it('waits for one that nobody has seen yet, and ends with its outcome', async () => {
    const watching = watch(api.url, 'later')
    await says(watching, 'Nothing has come of a batch later yet; waiting for it.\n', 'err')
    await send('later', testBatch(7).lines)
    const { code, out } = await watching.ended
    expect(out).toMatch(/^succeeded: later: 7 rows in 1 chunk, at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n$/)
    expect(code).toBe(0)
  })

  it('tells bad rows as the sender is told', async () => {
    await send('bad', [...testBatch(3).lines, 'CNGGZ,NLRTM,2026-02-30,1'])
    const { code, out } = await watch(api.url, 'bad').ended
    expect(out).toContain('failed: bad: 1 of 4 rows breaks a rule; nothing of the batch is visible\n')
    expect(out).toContain('    4  day    2026-02-30  not_a_date\n')
    expect(code).toBe(1)
  })

  it('is told of a cancellation, and of a dry run by its own name', async () => {
    await open('going')
    const watching = watch(api.url, 'going')
    await says(watching, 'loading', 'err')
    await send('going', testBatch(2).lines, { 'dry-run': 'true' })
    const dry = await watch(api.url, 'going', '--dry-run').ended
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('succeeded (dry run): 2 rows in 1 chunk') })
    await api.app.inject({ method: 'POST', url: '/batches/going/cancel' })
    const { code, out } = await watching.ended
    expect(out).toBe('cancelled: going: its sender cancelled it; nothing of it is visible\n')
    expect(code).toBe(4)
  })

  it('knows what was reverted since', async () => {
    await send('gone', testBatch(2).lines)
    await line.reply('gone')
    await api.app.inject({ method: 'POST', url: '/batches/gone/revert' })
    const { code, out } = await watch(api.url, 'gone').ended
    expect(out).toMatch(
      /^succeeded: gone: 2 rows in 1 chunk, at .* UTC; reverted since, at .* UTC: nothing of it is visible\n$/,
    )
    expect(code).toBe(0)
  })

  it('prints a line of JSON for each change', async () => {
    const watching = watch(api.url, 'lines', '--json')
    await says(watching, 'waiting for it', 'err')
    await open('lines')
    await says(watching, '"state":"pending"')
    await api.app.inject({ method: 'POST', url: '/batches/lines/cancel' })
    const { code, out } = await watching.ended
    const states = out
      .trim()
      .split('\n')
      .map((text) => (JSON.parse(text) as Batch).state)
    expect([states[0], states.at(-1)]).toEqual(['pending', 'cancelled'])
    expect(code).toBe(4)
  })

  it('ends by --timeout, and by Ctrl-C, and leaves the batch alone', async () => {
    await open('slow')
    const late = await watch(api.url, 'slow', '--timeout', '0.5s').ended
    expect(late).toMatchObject({ code: 3, out: '', err: expect.stringContaining('slow had no outcome within 0.5 s.') })
    const watching = watch(api.url, 'slow')
    await says(watching, 'loading', 'err')
    watching.child.kill('SIGINT')
    expect(await watching.ended).toMatchObject({ code: 130, out: '' })
    expect((await api.get('/batches/slow')).body).toMatchObject({ state: 'pending' })
  })
})

describe('rates watch', () => {
  it('tells of each change of any batch, also over a restart of the API, until Ctrl-C', async () => {
    const first = await startApiProcess(line)
    const watching = watch(first.url)
    await open('before')
    await says(watching, /opened {5}before {2}acme\n/)
    await send('good', testBatch(7).lines, { source: 'acme' })
    await says(watching, /succeeded {2}good {2}(acme, )?7 rows in 1 chunk, /)

    first.signal('SIGKILL')
    await says(watching, /The API at \S+ cannot be reached: .*\. Asking again\.\n/, 'err')
    await send('missed', ['CNGGZ,NLRTM,2026-02-30,1'])
    await line.reply('missed')
    await startApiProcess(line, { PORT: new URL(first.url).port })
    await says(watching, 'The API answers again.\n', 'err')
    await says(watching, /failed {5}missed {2}rejected_rows: /)
    await api.app.inject({ method: 'POST', url: '/batches/good/revert' })
    await says(watching, /reverted {3}good {2}7 rows are hidden\n/)

    watching.child.kill('SIGINT')
    const { code, out, err } = await watching.ended
    expect(code).toBe(0)
    expect(err.match(/Asking again/g)).toHaveLength(1) // however often it was
    for (const told of ['opened     before', 'succeeded  good', 'failed     missed', 'reverted   good']) {
      expect(out.split(told)).toHaveLength(2)
    }
  })

  it('prints batches as lines of JSON', async () => {
    const watching = watch(api.url, '--json')
    await open('json-1')
    await says(watching, '"id":"json-1"')
    watching.child.kill('SIGINT')
    const { code, out } = await watching.ended
    expect(code).toBe(0)
    for (const text of out.trim().split('\n')) expect(JSON.parse(text)).toHaveProperty('state')
  })

  it.each([
    ['an API that is not there', ['--url', 'http://127.0.0.1:1'], 3, 'The API at http://127.0.0.1:1 cannot be reached'],
    ['one that is not there for one batch', ['x', '--url', 'http://127.0.0.1:1'], 3, 'cannot be reached'],
    ['no API at all', [], 3, 'Nothing runs here: start it (npm start), or give --url, or set RATES_URL,'],
    [
      'no batch to wait for',
      ['--timeout', '1s', '--url', 'http://127.0.0.1:1'],
      2,
      '--timeout needs the ID of a batch',
    ],
  ])('tells %s', async (_, args, code, message) => {
    expect(await runRates({}, 'watch', ...args)).toMatchObject({ code, err: expect.stringContaining(message) })
  })
})
