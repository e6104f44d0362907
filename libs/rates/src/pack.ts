import { MAX_CHUNK_ROWS } from './limits.ts'
import { postgresDayOfMonth } from './months.ts'
import { type PortTable } from './port-table.ts'
import { type RowBuffer } from './row-buffer.ts'

// A look-up of Math for each row is slow in some sandboxes, Jest's among them.
const { imul } = Math

const COPY_SIGNATURE = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00]
const INT2 = 21
const INT4 = 23
const INT8 = 20
const SLOTS = 1 << 16

/** The columns of price_packs in the order in which encode() writes them. */
export const PACK_COLUMNS = 'batch_no, orig, dest, month, days, n, s, prices'

export interface EncodedPacks {
  /** The whole input of `copy price_packs (…) from stdin (format binary)`; valid until the next encode(). */
  copy: Uint8Array
  packs: number
}

/**
 * Turns the good rows of a chunk into packs, one for each (origin, destination, month), and encodes them for binary
 * COPY. All its memory is made once and used again: 1 M rows take one core about 0.1 s where they come in order of
 * pairs. Not re-entrant.
 */
export class Packer {
  private readonly slots = new Int32Array(SLOTS)
  private readonly groupOfRow = new Uint16Array(MAX_CHUNK_ROWS)
  private readonly orig = new Int32Array(MAX_CHUNK_ROWS)
  private readonly dest = new Int32Array(MAX_CHUNK_ROWS)
  private readonly month = new Int32Array(MAX_CHUNK_ROWS)
  private readonly size = new Int32Array(MAX_CHUNK_ROWS)
  private readonly start = new Int32Array(MAX_CHUNK_ROWS + 1)
  private readonly order = new Uint16Array(MAX_CHUNK_ROWS)
  private readonly sorted = new Uint16Array(MAX_CHUNK_ROWS)
  private readonly dayCount = new Int32Array(32)
  private readonly daySum = new Float64Array(32)
  private out = new Uint8Array(1 << 20)
  private view = new DataView(this.out.buffer)

  encode(rows: RowBuffer, ports: PortTable, batchNo: bigint): EncodedPacks {
    const groups = this.group(rows)
    // 134 bytes a pack; 26 more a day; 8 more a price (a day holds one price at least).
    this.reserve(21 + groups * 134 + rows.accepted * 34)
    const { out, view, order, start, size, dayCount, daySum } = this
    out.set(COPY_SIGNATURE, 0)
    out.fill(0, 11, 19)
    let at = 19
    const high = Number(batchNo >> 32n)
    const low = Number(batchNo & 0xffff_ffffn)
    for (const group of this.inIndexOrder(groups, ports)) {
      const from = start[group]!
      const length = size[group]!
      dayCount.fill(0)
      daySum.fill(0)
      let days = 0
      for (let i = from; i < from + length; i++) {
        const row = order[i]!
        const day = rows.day[row]! & 31
        if (dayCount[day]!++ === 0) days++
        daySum[day]! += rows.price[row]!
      }
      view.setInt16(at, 8)
      view.setInt32(at + 2, 8)
      view.setInt32(at + 6, high)
      view.setUint32(at + 10, low)
      view.setInt32(at + 14, 4)
      view.setInt32(at + 18, ports.ids[this.orig[group]!]!)
      view.setInt32(at + 22, 4)
      view.setInt32(at + 26, ports.ids[this.dest[group]!]!)
      view.setInt32(at + 30, 4)
      view.setInt32(at + 34, postgresDayOfMonth(this.month[group]!))
      at = this.arrayHead(at + 38, INT2, 2, days)
      for (let day = 0; day < 31; day++) {
        if (dayCount[day] === 0) continue
        view.setInt32(at, 2)
        view.setInt16(at + 4, day)
        at += 6
      }
      at = this.arrayHead(at, INT4, 4, days)
      for (let day = 0; day < 31; day++) {
        if (dayCount[day] === 0) continue
        view.setInt32(at, 4)
        view.setInt32(at + 4, dayCount[day]!)
        at += 8
      }
      at = this.arrayHead(at, INT8, 8, days)
      for (let day = 0; day < 31; day++) {
        if (dayCount[day] === 0) continue
        // 32 767 prices of 2^31 at most: below 2^46, exact as a double.
        const sum = daySum[day]!
        view.setInt32(at, 8)
        view.setInt32(at + 4, Math.floor(sum / 0x1_0000_0000))
        view.setUint32(at + 8, sum % 0x1_0000_0000)
        at += 12
      }
      at = this.arrayHead(at, INT4, 4, length)
      // The prices day by day, within a day as they came: each day's count becomes its place.
      let place = at
      for (let day = 0; day < 31; day++) {
        const count = dayCount[day]!
        dayCount[day] = place
        place += count * 8
      }
      for (let i = from; i < from + length; i++) {
        const row = order[i]!
        const day = rows.day[row]! & 31
        const to = dayCount[day]!
        view.setInt32(to, 4)
        view.setInt32(to + 4, rows.price[row]!)
        dayCount[day] = to + 8
      }
      at = place
    }
    view.setInt16(at, -1)
    return { copy: out.subarray(0, at + 2), packs: groups }
  }

  /** Gives each row its group and lays the rows out group by group (a stable counting sort). */
  private group(rows: RowBuffer): number {
    const { slots, groupOfRow, orig, dest, month, size, start, order } = this
    slots.fill(-1)
    let groups = 0
    let last = -1
    for (let row = 0; row < rows.accepted; row++) {
      const o = rows.orig[row]!
      const d = rows.dest[row]!
      const m = rows.day[row]! >> 5
      if (last < 0 || orig[last] !== o || dest[last] !== d || month[last] !== m) {
        let hash = imul(o, 0x9e3779b1) ^ imul(d, 0x85ebca77) ^ imul(m, 0xc2b2ae3d)
        let slot = (hash ^= hash >>> 15) & (SLOTS - 1)
        for (;;) {
          last = slots[slot]!
          if (last < 0) {
            last = slots[slot] = groups++
            orig[last] = o
            dest[last] = d
            month[last] = m
            size[last] = 0
            break
          }
          if (orig[last] === o && dest[last] === d && month[last] === m) break
          slot = (slot + 1) & (SLOTS - 1)
        }
      }
      groupOfRow[row] = last
      size[last]!++
    }
    start[0] = 0
    for (let group = 0; group < groups; group++) start[group + 1] = start[group]! + size[group]!
    const next = start.slice(0, groups)
    for (let row = 0; row < rows.accepted; row++) order[next[groupOfRow[row]!]!++] = row
    return groups
  }

  /** Groups in the order of the index on (orig, dest, month), so that COPY walks its pages once. */
  private inIndexOrder(groups: number, ports: PortTable): Uint16Array {
    const { sorted, orig, dest, month } = this
    const { ids } = ports
    const compare = (a: number, b: number): number =>
      ids[orig[a]!]! - ids[orig[b]!]! || ids[dest[a]!]! - ids[dest[b]!]! || month[a]! - month[b]!
    let inOrder = true
    for (let group = 0; group < groups; group++) {
      sorted[group] = group
      if (inOrder && group > 0 && compare(group - 1, group) > 0) inOrder = false
    }
    const view = sorted.subarray(0, groups)
    return inOrder ? view : view.sort(compare)
  }

  private arrayHead(at: number, type: number, width: number, length: number): number {
    const { view } = this
    view.setInt32(at, 20 + length * (4 + width))
    view.setInt32(at + 4, 1) // dimensions
    view.setInt32(at + 8, 0) // no nulls
    view.setInt32(at + 12, type)
    view.setInt32(at + 16, length)
    view.setInt32(at + 20, 1) // lower bound
    return at + 24
  }

  private reserve(bytes: number): void {
    if (bytes <= this.out.length) return
    this.out = new Uint8Array(bytes)
    this.view = new DataView(this.out.buffer)
  }
}
