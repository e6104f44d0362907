import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findJava, Missing } from '@rates/local/java'
import { fetchKafka } from '@rates/local/kafka-jars'
import { csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { factsOf, settled, succeeded } from '@rates/testing/facts'
import { startLine, type Line, type Watched } from '@rates/testing/line'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { startWorkerProcess } from '@rates/testing/workers'
import kafkajs from 'kafkajs'
import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pythonPackages } from './python-packages.ts'

// The producers of docs/producers, as they stand there.

const folder = fileURLToPath(new URL('../../../docs/producers', import.meta.url))
const HEADER = 'orig_code,dest_code,day,price'

type Language = 'Python' | 'Java'
type Producer = (args: string[], env: Record<string, string>) => Promise<Ended>
interface Ended {
  code: number
  stdout: string
  stderr: string
}

let line: Line
let files: string
const producers = {} as Record<Language, Producer>
beforeAll(async () => {
  const [packages, java, jars] = await Promise.all([
    pythonPackages(join(folder, 'requirements.txt')),
    findJava(),
    fetchKafka(),
  ])
  if (java === undefined) throw new Missing('This test needs Java 17 or newer, a JDK.')
  const quiet = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
  const javaArgs = [...quiet, '-cp', join(jars, '*'), join(folder, 'Produce.java')]
  const PYTHONPATH = [packages, process.env['PYTHONPATH']].filter(Boolean).join(delimiter)
  producers.Python = (args, env) => run('python3', [join(folder, 'produce.py'), ...args], { ...env, PYTHONPATH })
  producers.Java = (args, env) => run(java, [...javaArgs, ...args], env)
  line = await startLine()
  files = await temporaryFolder()
  line.defer(() => rm(files, { recursive: true }))
  await startWorkerProcess(line)
}, 300_000)
afterAll(() => line?.close())

function run(program: string, args: string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { env: { ...process.env, KAFKA_PREFIX: line.prefix, ...env }, maxBuffer: 1 << 26, timeout: 120_000 },
      (error, stdout, stderr) => {
        if (child.exitCode === null) reject(error ?? new Error(`${program} did not end`))
        else resolve({ code: child.exitCode, stdout, stderr })
      },
    )
  })
}

/** Sends a file, and parses the reply that the producer has printed. */
async function send(
  language: Language,
  batch: TestBatch,
  body: string | Uint8Array,
  env: Record<string, string> = {},
): Promise<{ code: number; reply: unknown }> {
  const file = join(files, `${batch.id}.csv`)
  await writeFile(file, body)
  const { code, stdout, stderr } = await producers[language]([file, line.brokers.join(','), batch.id, 'acme'], env)
  const json = stdout.indexOf('{')
  if (json < 0) throw new Error(`the producer printed no reply:\n${stdout}${stderr}`)
  return { code, reply: JSON.parse(stdout.slice(json)) as unknown }
}

const laneOf = async (batch: TestBatch): Promise<unknown> =>
  (await line.pool.query<{ topic: string }>('select topic from batches where id = $1', [batch.id])).rows[0]?.topic

describe.each<[Language, Language]>([
  ['Python', 'Java'],
  ['Java', 'Python'],
])('the producer in %s', (language, other) => {
  const batch = testBatch(100_000)

  it('sends a batch of 100 000 rows, and ends with 0 when it is visible', async () => {
    const { code, reply } = await send(language, batch, [HEADER, ...batch.lines].join('\n'))
    expect(code).toBe(0)
    expect(reply).toMatchObject({ batchId: batch.id, state: 'succeeded', source: 'acme', chunks: 4 })
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    expect(await laneOf(batch)).toBe(line.topics.batches)
  })

  it('sends it again, and another one sends it: that is a no-op with the same reply', async () => {
    const before = await line.replies(batch.id)
    for (const again of [language, other]) {
      expect(await send(again, batch, [HEADER, ...batch.lines].join('\n'))).toEqual({
        code: 0,
        reply: before[0]!.reply,
      })
    }
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('takes the bulk lane for a large batch; with a byte order mark and CRLF', async () => {
    const large = testBatch(200_000)
    const { code, reply } = await send(language, large, `\uFEFF${[HEADER, ...large.lines, ''].join('\r\n')}`)
    expect(code).toBe(0)
    expect(reply).toMatchObject({ state: 'succeeded', chunks: 7 })
    expect(await factsOf(line, large)).toEqual(succeeded(large))
    expect(await laneOf(large)).toBe(line.topics.bulk)
  })

  it('shows the bad rows of a batch by their places in the file, and ends with 1', async () => {
    const bad = testBatch(70_000)
    const rows: [number, string, string | null, string, string][] = [
      [1, 'CNGGZ,NLRTM,2001-02-29,5', 'day', '2001-02-29', 'not_a_date'],
      [32_768, HEADER, 'orig_code', 'orig_code', 'unknown_port'], // the first of its chunk, and no header line
      [40_000, 'CNGGZ,"NL\nRTM",2001-01-01,5', 'dest_code', 'NL\nRTM', 'unknown_port'],
      [70_000, '', null, '1 columns', 'columns'],
    ]
    bad.lines = bad.lines.map((each) => each.replace(/\d+$/, '5')) // short rows: a chunk is full by their number
    for (const [row, text] of rows) bad.lines[row - 1] = text
    const { code, reply } = await send(language, bad, csv(bad.lines))
    expect(code).toBe(1)
    expect(reply).toMatchObject({
      state: 'failed',
      rows: { accepted: 69_996, rejected: 4 },
      error: { code: 'rejected_rows', rules: { not_a_date: 1, unknown_port: 2, columns: 1 } },
      errors: rows.map(([row, , field, value, rule]) => ({ row, field, value, rule })),
    })
    expect(await factsOf(line, bad)).toMatchObject({ state: 'failed', visible: 'nothing' })
  })

  it('has an id_conflict for another file under a known id, and ends with 1', async () => {
    const { code, reply } = await send(language, batch, csv(batch.lines.slice(1)))
    expect(code).toBe(1)
    expect(reply).toMatchObject({ state: 'id_conflict' })
    expect(await factsOf(line, batch)).toMatchObject({
      ...succeeded(batch),
      replies: expect.anything(),
      replied: expect.anything(),
    })
  })

  it('sends a batch of no rows, and none of a file whose quotes never close', async () => {
    const empty = testBatch(0)
    expect(await send(language, empty, '')).toMatchObject({ code: 0, reply: { rows: { accepted: 0, rejected: 0 } } })
    const open = testBatch(10_000)
    open.lines[0] = '"CNGGZ'
    await expect(send(language, open, csv(open.lines))).rejects.toThrow('a row is longer than 65536 bytes')
  })

  it.each(['gzip', 'zstd'])('compresses with %s, the same each time', async (encoding) => {
    const packed = testBatch(40_000)
    const first = await send(language, packed, csv(packed.lines), { ENCODING: encoding })
    expect(first).toMatchObject({ code: 0, reply: { state: 'succeeded' } })
    expect(await send(language, packed, csv(packed.lines), { ENCODING: encoding })).toEqual(first)
    expect(await factsOf(line, packed)).toEqual(succeeded(packed))
  })

  it('gets its reply where it asks for it, and is told where it may not', async () => {
    const [here, nowhere] = [testBatch(3), testBatch(3)]
    expect(await send(language, here, csv(here.lines), { REPLY_TO: line.topics.replies })).toMatchObject({ code: 0 })
    expect(await send(language, nowhere, csv(nowhere.lines), { REPLY_TO: line.topics.deadLetters })).toMatchObject({
      code: 1,
      reply: { state: 'failed', error: { code: 'reply_to_not_allowed' } },
    })
  })
})

describe("Kafka's own compression", () => {
  const { CompressionTypes } = kafkajs
  interface Codec {
    compress: unknown
    decompress(packed: Buffer): Promise<Buffer>
  }
  const codecs = kafkajs.CompressionCodecs as Record<number, () => Codec>
  const types = {
    gzip: CompressionTypes.GZIP,
    snappy: CompressionTypes.Snappy,
    lz4: CompressionTypes.LZ4,
    zstd: CompressionTypes.ZSTD,
  }

  /** Record batches that this process, which has the codecs of the workers, has read by each codec. */
  const read = new Map<string, number>()
  let watched: Watched
  beforeAll(async () => {
    for (const [name, type] of Object.entries(types)) {
      const codec = codecs[type]!()
      const counting = (packed: Buffer): Promise<Buffer> => {
        read.set(name, (read.get(name) ?? 0) + 1)
        return codec.decompress(packed)
      }
      codecs[type] = () => ({ ...codec, decompress: counting })
    }
    watched = await line.watch(line.topics.batches)
  })

  it.each(Object.keys(types).flatMap((name) => [['Java', name] as const, ['Python', name] as const]))(
    'by the client in %s with %s is read',
    async (language, name) => {
      await watched.all()
      read.clear()
      const batch = testBatch(40_000)
      expect(await send(language, batch, csv(batch.lines), { COMPRESSION: name })).toMatchObject({ code: 0 })
      expect(await factsOf(line, batch)).toEqual(succeeded(batch))
      const records = (await watched.all()).filter(({ headers }) => headers.get('batch-id') === batch.id)
      expect(records).toHaveLength(2)
      expect(Object.fromEntries(read)).toEqual({ [name]: 2 })
    },
  )

  it('leaves nothing behind', () => settled(line))
})
