import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { programSettings, runRates, startRates, type Ran } from '@rates/testing/program'
import { seedPrices } from '../../../services/rates-api/src/test-app.ts'
import { openTestBatch } from '../../../services/rates-api/src/test-ledger.ts'
import { startTestDoor, type TestDoor } from '../../../services/rates-api/src/test-queries.ts'

/** Days of which an answer is too large for a record, as the door has it here. */
const LONG = ['--date-from', '2021-01-01', '--date-to', '2021-12-31']
const SHORT = ['--date-from', '2021-01-02', '--date-to', '2021-01-02']
const PLACES = ['--from', 'CNSGH', '--to', 'NLRTM']

let line: Line
let door: TestDoor
let env: Record<string, string>
let folder: string

beforeAll(async () => {
  line = await startLine({ partitions: 3 })
  folder = await mkdtemp(join(tmpdir(), 'rates-ask-'))
  line.defer(() => rm(folder, { recursive: true }))
  await seedPrices(line.pool, 'seed', [
    ['CNSGH', 'NLRTM', '2021-01-02', 1000],
    ['CNSGH', 'NLRTM', '2021-01-02', 1500],
    ['CNSGH', 'NLRTM', '2021-01-02', 2001],
  ])
  await openTestBatch(line.pool, 'open', { source: 'acme' })
  const own = `${line.prefix}acme`
  await line.admin.createTopic(own, 1, 1, {})
  line.defer(() => line.admin.deleteTopics([own]))
  door = await startTestDoor(line, { replyTopics: [own], answerMaxBytes: 2_000 })
  env = { ...programSettings(line), RATES_URL: door.app.url }
})
afterAll(() => line.close())

const ask = (...args: string[]): Promise<Ran> => runRates(env, 'ask', ...args)
const http = async (path: string): Promise<string> => (await fetch(door.app.url + path)).text()
async function askMany(input: string, ...args: string[]): Promise<Ran> {
  const running = startRates(env, ['ask', '-', ...args], 'input')
  running.child.stdin!.end(input)
  return running.ended
}
const linesOf = ({ out }: Ran): Record<string, unknown>[] =>
  out
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>)

describe('rates ask', () => {
  it('prints what HTTP has, and a problem in its words', async () => {
    const path = '/rates?orig_code=CNSGH&dest_code=NLRTM&date_from=2021-01-02&date_to=2021-01-02'
    expect(await ask(...PLACES, ...SHORT)).toEqual({ code: 0, out: `${await http(path)}\n`, err: '' })
    expect(await ask(...PLACES, ...SHORT, '--format', 'csv')).toMatchObject({
      code: 0,
      out: await http(`${path}&format=csv`),
    })
    expect((await ask('--batch', 'open')).out).toBe(`${await http('/batches/open')}\n`)
    const nothing = await ask('--batch', 'nobody')
    expect(nothing).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/^The platform answers 404: .*nobody/),
    })
    const wrong = await ask('{"query":"prices"}')
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('is none of rates, batch, errors') })
    const told = await ask('{"query":"prices"}', '--json')
    expect(told.code).toBe(1)
    expect(JSON.parse(told.out)).toMatchObject({ status: 400, contentType: 'application/problem+json', body: {} })
  })

  it('fetches an answer that is too large for a record, to the screen and to a file', async () => {
    const path = '/rates?orig_code=CNSGH&dest_code=NLRTM&date_from=2021-01-01&date_to=2021-12-31'
    const body = await http(path)
    expect(body.length).toBeGreaterThan(2_000)
    expect(await ask(...PLACES, ...LONG)).toEqual({ code: 0, out: `${body}\n`, err: '' })
    const file = join(folder, 'rates.json')
    const written = await ask(...PLACES, ...LONG, '--output', file)
    expect(written).toMatchObject({ code: 0, out: expect.stringMatching(/bytes, application\/json/) })
    expect(await readFile(file, 'utf8')).toBe(body)
    const many = await askMany(`${JSON.stringify(rates('2021-12-31'))}\n`)
    expect(many.out).toContain(`"body":${body}}\n`)
  })

  it('says what became of an answer that was kept and is gone, and leaves no file', async () => {
    await line.pool.query(`
      create function gone() returns trigger language plpgsql as
        $$ begin new.expires_at := clock_timestamp() - interval '1 s'; return new; end $$;
      create trigger gone before update of sealed_at on claims for each row execute function gone()`)
    try {
      const file = join(folder, 'gone.json')
      const gone = await ask(...PLACES, ...LONG, '--output', file)
      expect(gone).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringMatching(/^The answer was kept until .* is gone/),
      })
      expect((await readdir(folder)).filter((name) => name.startsWith('gone'))).toEqual([])
      const [told] = linesOf(await askMany(JSON.stringify(rates('2021-12-31'))))
      expect(told).toMatchObject({
        status: 200,
        claim: { contentType: 'application/json' },
        error: expect.stringContaining('is gone'),
      })
    } finally {
      await line.pool.query('drop trigger gone on claims; drop function gone()')
    }
  })

  it('hears the answer on the topic that it names, and that it may not name one', async () => {
    expect(await ask(...PLACES, ...SHORT, '--reply-to', `${line.prefix}acme`)).toMatchObject({ code: 0, err: '' })
    const refused = await ask(...PLACES, ...SHORT, '--reply-to', line.topics.bulk)
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("is not on the platform's list") })
    const missing = await ask(...PLACES, ...SHORT, '--reply-to', 'no-such-topic')
    expect(missing).toMatchObject({ code: 3, err: expect.stringContaining('has no topic no-such-topic') })
  })

  it('answers a thousand queries in their order, bad ones among them', async () => {
    const days = Array.from({ length: 1_000 }, (_, i) => (i % 10 === 3 ? 'never' : `2021-01-${10 + (i % 20)}`))
    const input = days.map((day) => JSON.stringify(rates(day))).join('\n')
    const ran = await askMany(input)
    expect(ran).toMatchObject({ code: 1, err: '' })
    const answers = linesOf(ran)
    expect(answers.map(({ line: number }) => number)).toEqual(days.map((_, i) => i + 1))
    expect(answers.map(({ status }) => status)).toEqual(days.map((day) => (day === 'never' ? 400 : 200)))
    // The days of an answer are those that were asked for: none is another's.
    const lengths = answers.map(({ body }) => (body as { rates?: unknown[] }).rates?.length)
    expect(lengths).toEqual(days.map((day) => (day === 'never' ? undefined : Number(day.slice(-2)))))
  })

  it('answers as queries come, and ends quietly when nobody reads on', async () => {
    const running = startRates(env, ['ask', '-'], 'input')
    const query = `${JSON.stringify(rates('2021-01-02'))}\n`
    running.child.stdin!.write(query)
    await eventually(() => Promise.resolve(running.said.out.startsWith('{"line":1,"status":200')), {
      what: 'the first answer',
    })
    running.child.stdout!.destroy()
    running.child.stdin!.write(query)
    expect(await running.ended).toMatchObject({ code: 0, err: '' })
  })

  it('gives up after its time, and at Ctrl-C', async () => {
    await door.stop()
    const late = await ask(...PLACES, ...SHORT, '--wait', '0.5s')
    expect(late).toMatchObject({ code: 3, out: '', err: expect.stringContaining('no answer within 0.5 s') })
    const [none] = linesOf(await askMany('{}', '--wait', '0.5s'))
    expect(none).toEqual({ line: 1, status: null, error: expect.stringContaining('no answer within 0.5 s') })
    const running = startRates(env, ['ask', ...PLACES, ...SHORT, '--wait', '1d'])
    await eventually(() => Promise.resolve(running.said.err.includes('waiting for the answer')), { what: 'it waiting' })
    running.child.kill('SIGINT')
    expect(await running.ended).toMatchObject({ code: 130, out: '' })
  })
})

const rates = (to: string): object => ({ orig_code: 'CNSGH', dest_code: 'NLRTM', date_from: '2021-01-01', date_to: to })
