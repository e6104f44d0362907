/** The columns of price_packs in the order in which packs are read and written here. */
export const STORED_COLUMNS = 'batch_no, orig, dest, month, days, n, s, prices, batches, batch_n'

/** A pack whose arrays do not belong together: nobody may rewrite it, or what is wrong could not be told any more. */
export class BrokenPack extends Error {
  readonly pack: { orig: number; dest: number }
  constructor(orig: number, dest: number, month: number, what: string) {
    const day = new Date((month + 10_957) * 86_400_000).toISOString().slice(0, 7)
    super(`the pack of port ${orig} to port ${dest} in ${day} is broken: ${what}`)
    this.name = 'BrokenPack'
    this.pack = { orig, dest }
  }
}

/** After the signature `PGCOPY…`: flags, and the length of nothing more. */
const HEADER_BYTES = 19

/**
 * Packs as the table holds them, merged or not, read out of binary COPY. A part is what one batch has on one day; a
 * pack's parts lie day by day. Columns of numbers and no objects: a million prices may be some hundred thousand parts.
 * The prices stay in the bytes that came.
 */
export class StoredPacks {
  readonly orig: number[] = []
  readonly dest: number[] = []
  /** The month's first day, from 2000-01-01, as PostgreSQL counts. */
  readonly month: number[] = []
  readonly batchNo: number[] = []
  /** True if the pack was merged of several batches. */
  readonly merged: boolean[] = []
  /** Prices of the pack. */
  readonly size: number[] = []
  /** Where the pack's parts begin; those of the last one end at `partDay.length`. */
  readonly first: number[] = []
  readonly partDay: number[] = []
  readonly partBatch: number[] = []
  readonly partN: number[] = []
  /** Where the part's first price is in `view`; the next one is 8 bytes on. */
  readonly partAt: number[] = []
  readonly view: DataView
  private readonly sumsAt: number[] = []
  private readonly daysAt: number[] = []
  private readonly dayCount: number[] = []

  /** @param copy all of `copy (… STORED_COLUMNS) to stdout (format binary)` @throws BrokenPack */
  constructor(copy: Uint8Array) {
    this.view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength)
    let at = HEADER_BYTES
    while (this.view.getInt16(at) !== -1) at = this.read(at)
  }

  get length(): number {
    return this.orig.length
  }

  /** Where the pack's parts end. */
  end(pack: number): number {
    return this.first[pack + 1] ?? this.partDay.length
  }

  /** Adds the pack's sums of each day to those of a month. */
  addSums(pack: number, sums: Float64Array): void {
    const days = this.daysAt[pack]!
    const from = this.sumsAt[pack]!
    for (let i = 0; i < this.dayCount[pack]!; i++) {
      sums[this.view.getInt16(days + i * 6 + 4)]! += int8(this.view, from + i * 12 + 4)
    }
  }

  private read(at: number): number {
    const { view } = this
    const batchNo = int8(view, at + 6)
    const orig = view.getInt32(at + 18)
    const dest = view.getInt32(at + 26)
    const month = view.getInt32(at + 34)
    const broken = (what: string): BrokenPack => new BrokenPack(orig, dest, month, what)
    at += 38
    const [days, n, s, prices, batches, batchN] = WIDTHS.map((width) => {
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
    if (!days || !n || !s || !prices || !batches !== !batchN) throw broken('an array is missing')
    if (days.length === 0 || n.length !== days.length || s.length !== days.length) {
      throw broken('days, n and s differ in length')
    }
    if (batches?.length !== batchN?.length) throw broken('batches and batch_n differ in length')
    this.first.push(this.partDay.length)
    let entry = 0
    let price = 0
    let last = -1
    for (let i = 0; i < days.length; i++) {
      const day = view.getInt16(days.start + i * 6 + 4)
      if (day <= last || day > 30) throw broken(`day ${day} is out of order`)
      last = day
      const end = price + view.getInt32(n.start + i * 8 + 4)
      if (end <= price || end > prices.length) throw broken('n does not add up to its prices')
      while (price < end) {
        if (batchN && entry === batchN.length) throw broken('batch_n does not add up to n')
        const count = batchN ? view.getInt32(batchN.start + entry * 8 + 4) : end - price
        if (count <= 0 || price + count > end) throw broken('batch_n does not add up to n')
        this.partDay.push(day)
        this.partBatch.push(batches ? int8(view, batches.start + entry * 12 + 4) : batchNo)
        this.partN.push(count)
        this.partAt.push(prices.start + price * 8 + 4)
        entry++
        price += count
      }
    }
    if (price !== prices.length || (batchN && entry !== batchN.length))
      throw broken('it holds more prices than n tells')
    this.orig.push(orig)
    this.dest.push(dest)
    this.month.push(month)
    this.batchNo.push(batchNo)
    this.merged.push(batches !== undefined)
    this.size.push(price)
    this.sumsAt.push(s.start)
    this.daysAt.push(days.start)
    this.dayCount.push(days.length)
    return at
  }
}

/** Of the elements of days, n, s, prices, batches, batch_n. */
const WIDTHS = [2, 4, 8, 4, 8, 4]

const int8 = (view: DataView, at: number): number => view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
