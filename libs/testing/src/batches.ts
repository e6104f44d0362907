import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { type BatchHeaders, type ContentEncoding, type ContentType } from '@rates/core/wire'
import { writeChunkHeaders } from '@rates/core/wire'
import { type OutgoingRecord } from '@rates/service/kafka'
import pg from 'pg'

export const TEST_PORTS = [
  ...['CNGGZ', 'CNSGH', 'CNQIN', 'HKHKG', 'JPYOK', 'KRPUS', 'SGSIN', 'VNSGN', 'INNSA', 'AEJEA'],
  ...['NLRTM', 'DEHAM', 'BEANR', 'GBFXT', 'FRLEH', 'ESVLC', 'ITGOA', 'PLGDN', 'USNYC', 'USLAX'],
]

export async function importTestPorts(databaseUrl: string, codes: readonly string[] = TEST_PORTS): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(`insert into regions (slug, name) values ('world', 'World') on conflict do nothing`)
    await client.query(
      `insert into ports (code, name, parent_slug) select c, c, 'world' from unnest($1::text[]) c on conflict do nothing`,
      [codes],
    )
  } finally {
    await client.end()
  }
}

/** Numbers from 0 to below 2^32, the same for the same seed (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}

export interface TestBatch {
  id: string
  /** The rows as lines of CSV in the order in which they are sent. */
  lines: string[]
  /** `2001-07`: where all of its days are, and no other test batch's that was made in this process. */
  month: string
  /** Of the content, as 32 hexadecimal digits. */
  digest: string
}

let made = 0

/**
 * A batch of random prices in a month of its own, so that what a reader sees of it can be told apart from every other.
 * Many equal rows are among them. `sorted`: in order of pairs, as suppliers' files mostly come.
 */
export function testBatch(count: number, options: { id?: string; sorted?: boolean; month?: string } = {}): TestBatch {
  const index = made++
  const year = 1971 + Math.floor(index / 12)
  const month = options.month ?? `${year}-${String((index % 12) + 1).padStart(2, '0')}`
  const lines = randomLines(count, { seed: index + 1, month, sorted: options.sorted ?? false })
  return { id: options.id ?? `batch-${index + 1}`, lines, month, digest: digestOf(lines) }
}

/** Random prices of a month as lines of CSV, the same for the same seed. */
export function randomLines(count: number, options: { seed: number; month: string; sorted: boolean }): string[] {
  const next = numbers(options.seed)
  const pairs = TEST_PORTS.length * (TEST_PORTS.length - 1)
  const lines: string[] = new Array<string>(count)
  for (let i = 0; i < count; i++) {
    const pair = options.sorted ? Math.floor((i * pairs) / count) : next() % pairs
    const orig = Math.floor(pair / (TEST_PORTS.length - 1))
    const other = pair % (TEST_PORTS.length - 1)
    const dest = other < orig ? other : other + 1
    const day = String((next() % 28) + 1).padStart(2, '0')
    lines[i] = `${TEST_PORTS[orig]},${TEST_PORTS[dest]},${options.month}-${day},${1000 + (next() % 3000)}`
  }
  return lines
}

export const csv = (lines: readonly string[]): Buffer => Buffer.from(lines.join('\n') + '\n')

export const prices = (lines: readonly string[]): object[] =>
  lines.map((line) => {
    const [orig_code, dest_code, day, price] = line.split(',')
    return { orig_code, dest_code, day, price: Number(price) }
  })

export const ndjson = (lines: readonly string[]): Buffer =>
  Buffer.from(
    prices(lines)
      .map((price) => JSON.stringify(price) + '\n')
      .join(''),
  )

export const sha256Hex = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex')

const encoders: Record<ContentEncoding, (body: Buffer) => Promise<Buffer>> = {
  identity: (body) => Promise.resolve(body),
  gzip: promisify<zlib.InputType, Buffer>(zlib.gzip),
  zstd: promisify<zlib.InputType, Buffer>(zlib.zstdCompress),
}

export interface Cutting {
  chunks: number
  /** Which records tell the total; by default all of them. */
  total?: 'all' | 'last' | 'none'
  contentType?: ContentType
  contentEncoding?: ContentEncoding
}

/** The records of a batch, cut into equal chunks: for tests that send them as no producer would. */
export async function chunkRecords(
  topic: string,
  batch: BatchHeaders,
  lines: readonly string[],
  cutting: Cutting,
): Promise<OutgoingRecord[]> {
  const { chunks, total = 'all', contentType = 'text/csv', contentEncoding = 'identity' } = cutting
  const records: OutgoingRecord[] = []
  for (let chunk = 0; chunk < chunks; chunk++) {
    const from = Math.floor((lines.length * chunk) / chunks)
    const part = lines.slice(from, Math.floor((lines.length * (chunk + 1)) / chunks))
    const value = await encoders[contentEncoding](contentType === 'text/csv' ? csv(part) : ndjson(part))
    const tells = total === 'all' || (total === 'last' && chunk === chunks - 1)
    const headers = writeChunkHeaders({
      batch,
      chunk,
      chunks: tells ? chunks : undefined,
      rows: part.length,
      sha256: sha256Hex(value),
      contentType,
      contentEncoding,
    })
    records.push({ topic, headers, value })
  }
  return records
}

/**
 * The digest of rows by docs/wire.md, written apart from the one that the services use: MurmurHash3 x86 128 over ten
 * words, summed as one large number.
 */
export function digestOf(lines: readonly string[]): string {
  const codes = new Map<string, Int32Array>()
  const hashOfCode = (code: string): Int32Array => {
    let hash = codes.get(code)
    if (!hash) {
      const words = new Int32Array(Math.ceil(code.length / 4))
      Buffer.from(words.buffer).write(code, 'latin1')
      codes.set(code, (hash = murmur128(words, code.length).slice()))
    }
    return hash
  }
  const row = new Int32Array(10)
  const sums = [0, 0, 0, 0]
  for (const line of lines) {
    const [orig, dest, day, price] = line.split(',') as [string, string, string, string]
    row.set(hashOfCode(orig), 0)
    row.set(hashOfCode(dest), 4)
    const months = (Number(day.slice(0, 4)) - 1970) * 12 + Number(day.slice(5, 7)) - 1
    row[8] = months * 32 + Number(day.slice(8)) - 1
    row[9] = Number(price)
    const hash = murmur128(row, 40)
    for (let word = 0; word < 4; word++) sums[word]! += hash[word]! >>> 0
  }
  const sum = sums.reduce((all, word, i) => all + (BigInt(word) << BigInt(32 * i)), 0n)
  return (sum % (1n << 128n)).toString(16).padStart(32, '0')
}

const murmurC = Int32Array.of(0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93)
const murmurN = Int32Array.of(0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17)
const murmurHR = Int32Array.of(19, 17, 15, 13)
const h = new Int32Array(4)
const rotate = (x: number, r: number): number => (x << r) | (x >>> (32 - r))

/** As the reference code (seed 0), in loops over its four lanes; a tail's bytes are padded with zeros. */
function murmur128(words: Int32Array, bytes: number): Int32Array {
  h.fill(0)
  const mix = (lane: number, word: number): void => {
    h[lane]! ^= Math.imul(rotate(Math.imul(word, murmurC[lane]!), 15 + lane), murmurC[(lane + 1) % 4]!)
  }
  const whole = (bytes >> 4) * 4
  for (let at = 0; at < whole; at += 4) {
    for (let lane = 0; lane < 4; lane++) {
      mix(lane, words[at + lane]!)
      h[lane] = Math.imul(rotate(h[lane]!, murmurHR[lane]!) + h[(lane + 1) % 4]!, 5) + murmurN[lane]!
    }
  }
  for (let lane = words.length - whole - 1; lane >= 0; lane--) mix(lane, words[whole + lane]!)
  const gather = (): void => {
    h[0] = h[0]! + h[1]! + h[2]! + h[3]!
    for (let lane = 1; lane < 4; lane++) h[lane]! += h[0]
  }
  for (let lane = 0; lane < 4; lane++) h[lane]! ^= bytes
  gather()
  for (let lane = 0; lane < 4; lane++) {
    let x = h[lane]!
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    h[lane] = x ^ (x >>> 16)
  }
  gather()
  return h
}
