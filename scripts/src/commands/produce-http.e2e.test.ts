import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Batch } from '@rates/core/batch'
import { cutBatch, type CutChunk } from '@rates/service/cut-batch'
import { csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { runRates, startRates, type Ran, type Running } from '@rates/testing/program'
import { holdPacks, startApiProcess } from '@rates/testing/workers'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { startTestApp, type TestApp } from '../../../services/rates-api/src/test-app.ts'

/** Rows of a chunk, as the program cuts them. */
const CHUNK = 32_767

let line: Line
let api: TestApp
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-http-'))
  line = await startLine()
  line.defer(() => rm(folder, { recursive: true }))
  await startTestWorker(line)
  api = await startTestApp({
    DATABASE_URL: line.databaseUrl,
    KAFKA_BROKERS: line.brokers.join(),
    KAFKA_PREFIX: line.prefix,
  })
  line.defer(() => api.close())
})
afterAll(() => line.close())

const produce = (url: string, ...args: string[]): Promise<Ran> => runRates({}, 'produce', '--url', url, ...args)
/** So much of a batch that the program sends five chunks, and waits for more. */
const beginning = (): Buffer => csv(testBatch(Math.ceil(6.5 * CHUNK)).lines)

const begin = (url: string, ...args: string[]): Running =>
  startRates({}, ['produce', '-', '--url', url, ...args], 'input')

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}
const fileOf = ({ id, lines }: TestBatch): Promise<string> => file(`${id}.csv`, csv(lines))

async function batchOf(id: string): Promise<Batch | undefined> {
  const { status, body } = await api.get(`/batches/${id}`)
  return status === 200 ? (body as Batch) : undefined
}
const storedChunks = (id: string, count: number): Promise<true> =>
  eventually(async () => (await batchOf(id))?.chunks.done === count, {
    within: 30_000,
    what: `${count} chunks of ${id}`,
  })

/** As the program cuts it. */
async function cut(id: string, content: Buffer): Promise<CutChunk[]> {
  const pieces = (async function* () {
    yield content
  })()
  const chunks: CutChunk[] = []
  for await (const chunk of cutBatch(pieces, 'csv', { batchId: id }, { encoding: 'zstd' })) chunks.push(chunk)
  return chunks
}

const kafkaHas = (id: string, count: number): Promise<true> =>
  eventually(async () => (await sentChunks(id)).reduce((sum, each) => sum + each, 0) === count, {
    within: 30_000,
    what: `${count} records of ${id}`,
  })

/** How often each chunk of a batch lies in Kafka. */
async function sentChunks(id: string): Promise<number[]> {
  const times: number[] = []
  for (const topic of [line.topics.batches, line.topics.bulk]) {
    const watched = await line.watch(topic)
    for (const { headers } of await watched.all()) {
      const chunk = Number(headers.get('chunk'))
      if (headers.get('batch-id') === id) times[chunk] = (times[chunk] ?? 0) + 1
    }
    await watched.close()
  }
  return times
}

describe('rates produce --url', () => {
  it('sends a file chunk by chunk, and the same again sends nothing', async () => {
    const batch = testBatch(3 * CHUNK, { id: 'http' })
    const args = [await fileOf(batch), '--batch-id', batch.id, '--source', 'acme ✓', '--correlation-id', 'c/1 ✓']
    const first = await produce(api.url, ...args)
    expect(first.code).toBe(0)
    expect(first.out).toMatch(/^batch http\nsucceeded: 98 301 rows in 3 chunks, visible \d/)
    const stored = await batchOf(batch.id)
    expect(stored).toMatchObject({ state: 'succeeded', digest: batch.digest, source: 'acme ✓', correlationId: 'c/1 ✓' })

    const again = await produce(`${api.url}/`, ...args)
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('\nsucceeded before, at ') })
    expect(await sentChunks(batch.id)).toEqual([1, 1, 1])
  })

  it('refuses another file, or other headers, under an id that is taken', async () => {
    const args = ['--batch-id', 'taken', '--source', 'acme']
    const [one, two] = [testBatch(CHUNK), testBatch(5)]
    expect(await produce(api.url, await fileOf(one), ...args)).toMatchObject({ code: 0 })
    const other = await produce(api.url, await fileOf(two), ...args)
    expect(other.code).toBe(1)
    expect(other.out).toMatch(
      /\nrefused \(id_conflict\): .*\.csv: chunk 0 has sha256 \w+; the batch has one with \w+\n/,
    )
    // Its first chunk is the same.
    const longer = await produce(api.url, await file('more.csv', csv([...one.lines, ...two.lines])), ...args)
    expect(longer).toMatchObject({ code: 1, out: expect.stringContaining('it has 2 chunks; the batch has 1\n') })
    const source = await produce(api.url, await fileOf(one), '--batch-id', 'taken', '--source', 'other', '--json')
    expect(source.code).toBe(1)
    expect(JSON.parse(source.out)).toMatchObject({
      batchId: 'taken',
      state: 'id_conflict',
      error: { code: 'id_conflict', message: 'The header source is "other" here; batch taken has "acme"' },
    })
    expect(await batchOf('taken')).toMatchObject({ state: 'succeeded', digest: one.digest })
  })

  it('tells bad rows as the reply over Kafka does', async () => {
    const { lines } = testBatch(80_000)
    lines[16] = 'CNGGZ,NLRTM,2026-02-30,1200'
    lines[70_000] = 'CNGGZ,XXXXX,2026-01-31,1200'
    const name = await file('bad.csv', csv(lines))
    const result = await produce(api.url, name, '--batch-id', 'bad', '--correlation-id', 'c')
    expect(result.code).toBe(1)
    expect(result.out).toContain('2 of 80 000 rows break a rule; nothing of the batch is visible')
    expect(result.out).toContain(
      '     row  field      value       rule\n' +
        '      17  day        2026-02-30  not_a_date\n' +
        '  70 001  dest_code  XXXXX       unknown_port\n',
    )
    const json = await produce(api.url, name, '--batch-id', 'bad', '--correlation-id', 'c', '--json')
    expect(json).toMatchObject({ code: 1, err: expect.stringContaining('batch bad\n') })
    expect(JSON.parse(json.out)).toEqual(await line.reply('bad'))
  })

  it('goes on where it was killed, and sends nothing twice', async () => {
    const batch = testBatch(12 * CHUNK, { id: 'killed' })
    // The deadline is that of the first time.
    const args = ['--batch-id', batch.id, '--deadline', '+10m', '--on-deadline', 'flag']
    const killed = begin(api.url, ...args)
    killed.child.stdin!.write(csv(batch.lines.slice(0, Math.ceil(9.5 * CHUNK))))
    // Of nine whole chunks one is held back, which may be the last.
    await storedChunks(batch.id, 8)
    killed.child.kill('SIGKILL')
    await killed.ended
    const again = await produce(api.url, await fileOf(batch), ...args)
    expect(again.err).toContain('8 of 12 chunks had come before\n')
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('succeeded: 393 204 rows in 12 chunks') })
    expect(await batchOf(batch.id)).toMatchObject({ digest: batch.digest })
    expect(await sentChunks(batch.id)).toEqual(Array.from({ length: 12 }, () => 1))
  })

  it('loses nothing and has nothing twice when the API dies in the middle and comes back', async () => {
    const batch = testBatch(12 * CHUNK, { id: 'restarted' })
    // It dies when Kafka has the fifth chunk, which it has told nobody.
    const first = await startApiProcess(line, { FAILPOINTS: 'sent-chunk@5' })
    const going = produce(first.url, await fileOf(batch), '--batch-id', batch.id)
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' })
    await startApiProcess(line, { PORT: new URL(first.url).port })
    const ended = await going
    expect(ended).toMatchObject({ code: 0, out: expect.stringContaining('succeeded: 393 204 rows in 12 chunks') })
    expect(await batchOf(batch.id)).toMatchObject({ digest: batch.digest, rows: { accepted: 12 * CHUNK, rejected: 0 } })
    const times = await sentChunks(batch.id)
    expect(times).toHaveLength(12)
    expect(Math.min(...times)).toBe(1)
    // Twice is what was acknowledged to nobody, if it was not stored before it came again.
    expect(times.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(13)
  })

  it('refuses a success that is made of other rows than its own', async () => {
    const batch = testBatch(6 * CHUNK, { id: 'mixed' })
    const packs = await holdPacks(line)
    const killed = begin(api.url, '--batch-id', batch.id)
    killed.child.stdin!.write(beginning()) // five chunks, which nobody stores yet
    await kafkaHas(batch.id, 5)
    killed.child.kill('SIGKILL')
    await killed.ended
    const going = produce(api.url, await fileOf(batch), '--batch-id', batch.id)
    await kafkaHas(batch.id, 5 + 6)
    await packs.release()
    const { code, out } = await going
    expect(out).toMatch(
      /\nrefused \(id_conflict\): .*: chunk \d has sha256 \w+; the batch has one with \w+, and is visible/,
    )
    expect(out).toContain('is visible with other rows than these: rates revert mixed\n')
    expect(code).toBe(1)
    const stored = (await batchOf(batch.id))!
    expect(stored.state).toBe('succeeded')
    expect(stored.digest).not.toBe(batch.digest)
  })

  it('does not wait for workers to send the rest of a batch whose last chunk is stored', async () => {
    const batch = testBatch(6 * CHUNK, { id: 'end-first' })
    const { headers, body } = (await cut(batch.id, csv(batch.lines))).at(-1)!
    const at = `${api.url}/batches/${batch.id}`
    await fetch(at, { method: 'PUT' })
    const put = await fetch(`${at}/chunks/${headers.chunk}`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', 'content-encoding': 'zstd', chunks: String(headers.chunks) },
      body: body as Uint8Array<ArrayBuffer>,
    })
    expect(put.status).toBe(202)
    await storedChunks(batch.id, 1)
    const packs = await holdPacks(line)
    const sent = await produce(api.url, await fileOf(batch), '--batch-id', batch.id, '--no-wait')
    expect(sent).toMatchObject({ code: 0, out: expect.stringMatching(/\nsent: .* in \d chunks/) })
    await packs.release()
    await line.reply(batch.id)
    expect(await batchOf(batch.id)).toMatchObject({ state: 'succeeded', digest: batch.digest })
  })

  it('waits for its turn where the API takes fewer chunks at once', async () => {
    const busy = await startApiProcess(line, { CHUNKS_AT_ONCE: '1' })
    const batch = testBatch(6 * CHUNK, { id: 'turns' })
    expect(await produce(busy.url, await fileOf(batch), '--batch-id', batch.id)).toMatchObject({ code: 0 })
    expect(await batchOf(batch.id)).toMatchObject({ digest: batch.digest })
    expect(await sentChunks(batch.id)).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('gives up when --timeout is over, and says how to go on', async () => {
    const gone = await startApiProcess(line)
    const { child, ended } = begin(gone.url, '--batch-id', 'gone', '--timeout', '1.5s')
    child.stdin!.write(beginning())
    await storedChunks('gone', 5)
    gone.signal('SIGKILL')
    await gone.exited
    child.stdin!.end(csv(testBatch(CHUNK).lines))
    const { code, err } = await ended
    expect(code).toBe(3)
    expect(err).toMatch(
      /The API at \S+ cannot be reached: .*\. It was tried for 1\.5 s\. Nothing of the batch is visible; /,
    )
    expect(err).toContain('send it again with --batch-id gone to complete it.')
    expect(await batchOf('gone')).toMatchObject({ state: 'in_progress' })
  })

  it('is cancelled by Ctrl-C half-way', async () => {
    const { child, ended } = begin(api.url, '--batch-id', 'stopped')
    child.stdin!.write(beginning()) // the end never comes
    await storedChunks('stopped', 5)
    child.kill('SIGINT')
    const { code, out } = await ended
    expect(out).toContain('cancelled: standard input: its sender cancelled it; nothing of it is visible')
    expect(code).toBe(4)
    expect(await batchOf('stopped')).toMatchObject({ state: 'cancelled' })
  })

  it('says how to cancel it where Ctrl-C finds no API', async () => {
    const gone = await startApiProcess(line)
    const { child, ended } = begin(gone.url, '--batch-id', 'left')
    child.stdin!.write(beginning())
    await storedChunks('left', 5)
    gone.signal('SIGKILL')
    await gone.exited
    child.kill('SIGINT')
    const { code, err } = await ended
    expect(err).toMatch(
      /The API at \S+ cannot be reached: .*\. The batch could not be cancelled: rates cancel left --url \S+\n$/,
    )
    expect(err).not.toContain('    at ')
    expect(code).toBe(3)
  })

  it('has nothing to cancel before anything is read', async () => {
    const { child, ended } = begin(api.url, '--batch-id', 'unread')
    child.stdout!.once('data', () => child.kill('SIGINT')) // it has told the id
    expect(await ended).toMatchObject({ code: 4, err: expect.stringContaining('nothing was sent') })
    expect(await batchOf('unread')).toBeUndefined()
  })

  it('stops sending when somebody else ends the batch, and tells how it ended', async () => {
    const { child, ended } = begin(api.url, '--batch-id', 'ended')
    child.stdin!.write(beginning())
    await storedChunks('ended', 5)
    await fetch(`${api.url}/batches/ended/cancel`, { method: 'POST' })
    child.stdin!.write(csv(testBatch(6 * CHUNK).lines)) // there would be more
    expect(await ended).toMatchObject({ code: 4, out: expect.stringContaining('cancelled: standard input: ') })
  })

  it('cancels what it has sent of a file that turns out to be damaged, and names the row', async () => {
    const rows = csv(testBatch(6 * CHUNK).lines).toString()
    const name = await file('open.csv', `${rows}CNGGZ,"NLRTM,2026-01-31,1\n${rows}`)
    const result = await produce(api.url, name, '--batch-id', 'open')
    expect(result.err).toMatch(/open\.csv: row 196603 is longer than 65536 bytes.* The batch was cancelled/)
    expect(result.code).toBe(1)
    expect(await batchOf('open')).toMatchObject({ state: 'cancelled' })
  })

  it('rehearses, and sends without waiting', async () => {
    const batch = testBatch(5, { id: 'rehearsed' })
    const args = [await fileOf(batch), '--batch-id', batch.id]
    const dry = await produce(api.url, ...args, '--dry-run')
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('succeeded (dry run): 5 rows in 1 chunk') })
    expect(await batchOf(batch.id)).toBeUndefined()
    const real = await produce(api.url, ...args, '--no-wait', '--json')
    expect(JSON.parse(real.out)).toMatchObject({ batchId: batch.id, rows: 5, chunks: 1, there: 0 })
    await line.reply(batch.id)
    expect(await batchOf(batch.id)).toMatchObject({ state: 'succeeded', digest: batch.digest })
  })

  it('goes over HTTP where only RATES_URL is known, also below a path', async () => {
    const proxy = await below('/rates/', api.url)
    line.defer(async () => void proxy.server.close())
    const batch = testBatch(5)
    const ended = await runRates({ RATES_URL: proxy.url }, 'produce', await fileOf(batch), '--batch-id', batch.id)
    expect(ended).toMatchObject({ code: 0, out: expect.stringContaining('succeeded: 5 rows') })
    const shown = await runRates({}, 'show', batch.id, '--url', proxy.url)
    expect(shown.out).toMatch(/state +succeeded/)
  })

  it.each([
    ['no API', 'http://127.0.0.1:1', 3, 'The API at http://127.0.0.1:1 cannot be reached: '],
    ['no such route', '/elsewhere', 3, 'is not the API, or not of this version: it has no /batches/'],
    ['no URL', 'rates.example.com', 2, 'It is not a URL such as https://rates.example.com.'],
    ['a password', 'http://me:secret@127.0.0.1', 2, 'The API takes no user name and password.'],
    ['a query', 'http://127.0.0.1?x=1', 2, 'It has no query and no fragment.'],
  ])('tells %s', async (_, url, code, message) => {
    const ended = await produce(url.startsWith('/') ? api.url + url : url, await file('a.csv', csv(testBatch(1).lines)))
    expect(ended).toMatchObject({ code, err: expect.stringContaining(message) })
  })

  it.each([
    ['a file without rows', 'orig_code,dest_code,day,price\n', [], 1, 'there are no rows in it. Nothing was sent.'],
    ['what the API refuses', csv(testBatch(1).lines), ['--reply-to', 'nowhere'], 2, 'is not a topic that replies may'],
  ])('tells %s', async (_, content, args, code, message) => {
    const ended = await produce(api.url, await file('a.csv', content), '--batch-id', 'refused', ...args)
    expect(ended).toMatchObject({ code, err: expect.stringContaining(message) })
    expect(await batchOf('refused')).toBeUndefined()
  })
})

/** The API under a path, as behind an ingress. */
async function below(path: string, target: string): Promise<{ url: string; server: Server }> {
  const server = createServer((incoming, answer) => {
    if (!incoming.url!.startsWith(path)) return void answer.writeHead(404).end('no such page')
    const { method, headers } = incoming
    const onward = request(target + incoming.url!.slice(path.length - 1), { method: method!, headers }, (reply) => {
      answer.writeHead(reply.statusCode!, reply.headers)
      reply.pipe(answer)
    })
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, server }
}
