// A pack as the table holds it, merged or not, and its form in binary COPY. Prices stay the bytes that they are: merging
// and taking apart moves them and never reads them, but for the sum of what is taken out.

/** The columns of price_packs in the order in which packs are read and written here. */
export const STORED_COLUMNS = 'batch_no, orig, dest, month, days, n, s, prices, batches, batch_n'

/** What one batch has on one day. */
export interface Part {
  /** Offset of the day in the month. */
  day: number
  batchNo: number
  n: number
  /** n array elements of binary COPY: a length of 4 and the price, 8 bytes each. */
  prices: Uint8Array
}

export interface StoredPack {
  orig: number
  dest: number
  /** Its first day, from 2000-01-01, as PostgreSQL counts. */
  month: number
  /** The sum of each day's prices, by the day's offset; exact, for a pack's prices stay far below 2^22. */
  sums: Float64Array
  /** Day by day, and within a day by batchNo: one of each batch. Never empty. */
  parts: Part[]
  /** Of all prices. */
  size: number
}

/** A pack whose arrays do not belong together: nobody may rewrite it, or what is wrong could not be told any more. */
export class BrokenPack extends Error {
  readonly pack: { orig: number; dest: number; month: number }
  constructor(orig: number, dest: number, month: number, what: string) {
    const day = new Date((month + 10_957) * 86_400_000).toISOString().slice(0, 7)
    super(`the pack of port ${orig} to port ${dest} in ${day} is broken: ${what}`)
    this.name = 'BrokenPack'
    this.pack = { orig, dest, month }
  }
}

const SIGNATURE = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]
const INT2 = 21
const INT4 = 23
const INT8 = 20

/** Reads the whole of `copy (… STORED_COLUMNS) to stdout (format binary)`. @throws BrokenPack */
export function decodePacks(copy: Uint8Array): StoredPack[] {
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength)
  const packs: StoredPack[] = []
  let at = SIGNATURE.length + view.getInt32(15)
  while (view.getInt16(at) !== -1) {
    const batchNo = int8(view, at + 6)
    const [orig, dest, month] = [view.getInt32(at + 18), view.getInt32(at + 26), view.getInt32(at + 34)]
    at += 38
    const broken = (what: string): BrokenPack => new BrokenPack(orig, dest, month, what)
    const arrays = [2, 4, 8, 4, 8, 4].map((width) => {
      const bytes = view.getInt32(at)
      const start = at + 4
      at = start + Math.max(bytes, 0)
      if (bytes < 0) return undefined
      const length = bytes === 12 ? 0 : (bytes - 20) / (4 + width)
      if (bytes !== 12 && (view.getInt32(start) !== 1 || view.getInt32(start + 12) !== length)) {
        throw broken('an array is nested or holds nulls')
      }
      return { start: start + 20, length }
    })
    packs.push(decodePack(copy, view, batchNo, { orig, dest, month }, arrays, broken))
  }
  return packs
}

type Place = { start: number; length: number } | undefined

function decodePack(
  copy: Uint8Array,
  view: DataView,
  batchNo: number,
  key: { orig: number; dest: number; month: number },
  [days, n, s, prices, batches, batchN]: Place[],
  broken: (what: string) => BrokenPack,
): StoredPack {
  if (!days || !n || !s || !prices || !batches !== !batchN) throw broken('an array is missing')
  if (days.length === 0 || n.length !== days.length || s.length !== days.length)
    throw broken('its days differ in length')
  if (batches?.length !== batchN?.length) throw broken('batches and batch_n differ in length')
  const sums = new Float64Array(31)
  const parts: Part[] = []
  let entry = 0
  let from = 0
  for (let i = 0; i < days.length; i++) {
    const day = view.getInt16(days.start + i * 6 + 4)
    if (day < 0 || day > 30 || (i > 0 && day <= parts.at(-1)!.day)) throw broken(`day ${day} is out of order`)
    sums[day] = int8(view, s.start + i * 12 + 4)
    const end = from + view.getInt32(n.start + i * 8 + 4)
    if (end <= from || end > prices.length) throw broken('n does not add up to its prices')
    while (from < end) {
      if (batchN && entry === batchN.length) throw broken('batch_n does not add up to n')
      const count = batchN ? view.getInt32(batchN.start + entry * 8 + 4) : end - from
      if (count <= 0 || from + count > end) throw broken('batch_n does not add up to n')
      const no = batches ? int8(view, batches.start + entry * 12 + 4) : batchNo
      const bytes = copy.subarray(prices.start + from * 8, prices.start + (from + count) * 8)
      parts.push({ day, batchNo: no, n: count, prices: bytes })
      entry++
      from += count
    }
  }
  if (from !== prices.length || (batchN && entry !== batchN.length)) throw broken('it holds more prices than n tells')
  return { ...key, sums, parts, size: from }
}

/** The input of `copy price_packs (STORED_COLUMNS) from stdin (format binary)`. */
export function encodePacks(packs: readonly StoredPack[]): Uint8Array {
  let bytes = SIGNATURE.length + 2
  for (const { parts, size } of packs) bytes += 38 + 4 * 24 + 31 * 26 + size * 8 + 48 + parts.length * 20
  const out = new Uint8Array(bytes)
  const view = new DataView(out.buffer)
  out.set(SIGNATURE)
  let at = SIGNATURE.length
  for (const pack of packs) at = encodePack(pack, out, view, at)
  view.setInt16(at, -1)
  return out.subarray(0, at + 2)
}

function encodePack(
  { orig, dest, month, sums, parts, size }: StoredPack,
  out: Uint8Array,
  view: DataView,
  at: number,
): number {
  let batchNo = 0
  let merged = false
  const days: number[] = []
  const counts: number[] = []
  for (const part of parts) {
    batchNo = Math.max(batchNo, part.batchNo)
    merged ||= part.batchNo !== parts[0]!.batchNo
    if (days.at(-1) === part.day) counts[counts.length - 1]! += part.n
    else {
      days.push(part.day)
      counts.push(part.n)
    }
  }
  view.setInt16(at, 10)
  view.setInt32(at + 2, 8)
  setInt8(view, at + 6, batchNo)
  for (const [i, value] of [orig, dest, month].entries()) {
    view.setInt32(at + 14 + i * 8, 4)
    view.setInt32(at + 18 + i * 8, value)
  }
  at = arrayHead(view, at + 38, INT2, 2, days.length)
  for (const day of days) {
    view.setInt32(at, 2)
    view.setInt16(at + 4, day)
    at += 6
  }
  at = arrayHead(view, at, INT4, 4, days.length)
  for (const count of counts) {
    view.setInt32(at, 4)
    view.setInt32(at + 4, count)
    at += 8
  }
  at = arrayHead(view, at, INT8, 8, days.length)
  for (const day of days) {
    view.setInt32(at, 8)
    setInt8(view, at + 4, sums[day]!)
    at += 12
  }
  at = arrayHead(view, at, INT4, 4, size)
  for (const { prices } of parts) {
    out.set(prices, at)
    at += prices.length
  }
  if (!merged) {
    view.setInt32(at, -1)
    view.setInt32(at + 4, -1)
    return at + 8
  }
  at = arrayHead(view, at, INT8, 8, parts.length)
  for (const part of parts) {
    view.setInt32(at, 8)
    setInt8(view, at + 4, part.batchNo)
    at += 12
  }
  at = arrayHead(view, at, INT4, 4, parts.length)
  for (const { n } of parts) {
    view.setInt32(at, 4)
    view.setInt32(at + 4, n)
    at += 8
  }
  return at
}

function arrayHead(view: DataView, at: number, type: number, width: number, length: number): number {
  view.setInt32(at, 20 + length * (4 + width))
  view.setInt32(at + 4, 1) // dimensions
  view.setInt32(at + 8, 0) // no nulls
  view.setInt32(at + 12, type)
  view.setInt32(at + 16, length)
  view.setInt32(at + 20, 1) // lower bound
  return at + 24
}

const int8 = (view: DataView, at: number): number => view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4)

function setInt8(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 0x1_0000_0000))
  view.setUint32(at + 4, value % 0x1_0000_0000)
}
