import { COPY_HEADER, INT2, INT4, INT8, writeArrayHead } from './binary-copy.ts'
import { type StoredPacks } from './stored-packs.ts'

/** Writes packs that are made of the parts of others: the input of `copy price_packs (STORED_COLUMNS) from stdin`. */
export class PackWriter {
  packs = 0
  prices = 0
  private out = new Uint8Array(1 << 20)
  private view = new DataView(this.out.buffer)
  private at = COPY_HEADER.length
  private readonly dayCount = new Int32Array(31)
  /** The parts of the pack in hand once those of one batch and day are one. */
  private batches: number[] = []
  private counts: number[] = []

  constructor() {
    this.out.set(COPY_HEADER)
  }

  /**
   * Writes one pack of one pair and month. It is a merged one if its parts are of several batches.
   * @param like the pack that tells pair and month
   * @param parts by day, then by batch; not empty
   * @param sums of each day's prices
   */
  write(packs: StoredPacks, like: number, parts: readonly number[], sums: Float64Array): void {
    const { size, days } = this.join(packs, parts)
    const { batches, counts, dayCount } = this
    this.reserve(38 + 6 * 24 + days * 26 + size * 8 + batches.length * 20)
    const { view } = this
    const batchNo = batches.reduce((highest, no) => Math.max(highest, no), 0)
    let at = this.at
    view.setInt16(at, 10)
    view.setInt32(at + 2, 8)
    setInt8(view, at + 6, batchNo)
    view.setInt32(at + 14, 4)
    view.setInt32(at + 18, packs.orig[like]!)
    view.setInt32(at + 22, 4)
    view.setInt32(at + 26, packs.dest[like]!)
    view.setInt32(at + 30, 4)
    view.setInt32(at + 34, packs.month[like]!)
    at = writeArrayHead(view, at + 38, INT2, 2, days)
    for (let day = 0; day < 31; day++) {
      if (dayCount[day] === 0) continue
      view.setInt32(at, 2)
      view.setInt16(at + 4, day)
      at += 6
    }
    at = writeArrayHead(view, at, INT4, 4, days)
    for (let day = 0; day < 31; day++) {
      if (dayCount[day] === 0) continue
      view.setInt32(at, 4)
      view.setInt32(at + 4, dayCount[day]!)
      at += 8
    }
    at = writeArrayHead(view, at, INT8, 8, days)
    for (let day = 0; day < 31; day++) {
      if (dayCount[day] === 0) continue
      view.setInt32(at, 8)
      setInt8(view, at + 4, sums[day]!)
      at += 12
    }
    at = writeArrayHead(view, at, INT4, 4, size)
    for (const part of parts) {
      const from = packs.partAt[part]!
      const end = from + packs.partN[part]! * 8
      for (let price = from; price < end; price += 8) {
        view.setInt32(at, 4)
        view.setInt32(at + 4, packs.view.getInt32(price))
        at += 8
      }
    }
    if (batches.every((no) => no === batchNo)) {
      view.setInt32(at, -1)
      view.setInt32(at + 4, -1)
      at += 8
    } else {
      at = writeArrayHead(view, at, INT8, 8, batches.length)
      for (const no of batches) {
        view.setInt32(at, 8)
        setInt8(view, at + 4, no)
        at += 12
      }
      at = writeArrayHead(view, at, INT4, 4, counts.length)
      for (const count of counts) {
        view.setInt32(at, 4)
        view.setInt32(at + 4, count)
        at += 8
      }
    }
    this.at = at
    this.packs++
    this.prices += size
  }

  /** All that was written. */
  copy(): Uint8Array {
    this.reserve(2)
    this.view.setInt16(this.at, -1)
    return this.out.subarray(0, this.at + 2)
  }

  private join({ partDay, partBatch, partN }: StoredPacks, parts: readonly number[]): { size: number; days: number } {
    const { dayCount } = this
    const batches: number[] = []
    const counts: number[] = []
    dayCount.fill(0)
    let size = 0
    let days = 0
    let last = -1
    for (const part of parts) {
      const day = partDay[part]!
      const batch = partBatch[part]!
      const n = partN[part]!
      if (dayCount[day] === 0) {
        days++
        last = -1
      }
      dayCount[day]! += n
      size += n
      if (batch === last) counts[counts.length - 1]! += n
      else {
        batches.push(batch)
        counts.push(n)
        last = batch
      }
    }
    this.batches = batches
    this.counts = counts
    return { size, days }
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.out.length) return
    const out = new Uint8Array(Math.max(this.out.length * 2, this.at + bytes))
    out.set(this.out.subarray(0, this.at))
    this.out = out
    this.view = new DataView(out.buffer)
  }
}

function setInt8(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  view.setInt32(at, high)
  view.setUint32(at + 4, value - high * 0x1_0000_0000)
}
