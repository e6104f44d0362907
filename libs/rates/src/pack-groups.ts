import { MAX_CHUNK_ROWS } from './limits.ts'
import { type PortTable } from './port-table.ts'
import { type RowBuffer } from './row-buffer.ts'

// A look-up of Math for each row is slow in some sandboxes, Jest's among them.
const { imul } = Math

const EXACT_BITS = 53

/**
 * The good rows of chunks, laid out by (origin, destination, month). Its memory grows to the largest input that it has
 * met, and is used again. Not re-entrant.
 */
export class PackGroups {
  /** Number of groups. Of each: */
  count = 0
  orig = new Int32Array(0)
  dest = new Int32Array(0)
  month = new Int32Array(0)
  /** Where its rows begin and end in `day` and `price`. */
  start = new Int32Array(0)
  end = new Int32Array(0)
  /** Of each row, group by group and in a group as they came: the offset of its day in the month, and its price. */
  day = new Uint8Array(0)
  price = new Int32Array(0)
  /** The groups in the order of the index on (orig, dest, month), so that COPY walks its pages once. */
  order: Int32Array = new Int32Array(0)

  private capacity = 0
  private slots = new Int32Array(0)
  private groupOfRow = new Int32Array(0)
  private sorted = new Int32Array(0)
  private keys = new Float64Array(0)

  group(chunks: readonly RowBuffer[], ports: PortTable): void {
    const rows = chunks.reduce((sum, { accepted }) => sum + accepted, 0)
    if (rows > this.capacity) this.grow(rows)
    this.assign(chunks, rows)
    this.layOut(chunks)
    this.order = this.inIndexOrder(ports)
  }

  private grow(rows: number): void {
    const capacity = Math.ceil(rows / MAX_CHUNK_ROWS) * MAX_CHUNK_ROWS
    this.capacity = capacity
    this.orig = new Int32Array(capacity)
    this.dest = new Int32Array(capacity)
    this.month = new Int32Array(capacity)
    this.start = new Int32Array(capacity)
    this.end = new Int32Array(capacity)
    this.day = new Uint8Array(capacity)
    this.price = new Int32Array(capacity)
    this.groupOfRow = new Int32Array(capacity)
    this.sorted = new Int32Array(capacity)
    this.keys = new Float64Array(capacity)
    this.slots = new Int32Array(slotsFor(capacity))
  }

  /** Gives each row its group, and counts them: `end` holds the groups' sizes. */
  private assign(chunks: readonly RowBuffer[], rows: number): void {
    const { slots, groupOfRow, orig, dest, month, end } = this
    const mask = slotsFor(rows) - 1
    slots.fill(-1, 0, mask + 1)
    let groups = 0
    let last = -1
    let at = 0
    for (const chunk of chunks) {
      for (let row = 0; row < chunk.accepted; row++) {
        const o = chunk.orig[row]!
        const d = chunk.dest[row]!
        const m = chunk.day[row]! >> 5
        if (last < 0 || orig[last] !== o || dest[last] !== d || month[last] !== m) {
          let hash = imul(o, 0x9e3779b1) ^ imul(d, 0x85ebca77) ^ imul(m, 0xc2b2ae3d)
          let slot = (hash ^= hash >>> 15) & mask
          for (;;) {
            last = slots[slot]!
            if (last < 0) {
              last = slots[slot] = groups++
              orig[last] = o
              dest[last] = d
              month[last] = m
              end[last] = 0
              break
            }
            if (orig[last] === o && dest[last] === d && month[last] === m) break
            slot = (slot + 1) & mask
          }
        }
        groupOfRow[at++] = last
        end[last]!++
      }
    }
    this.count = groups
  }

  /** A stable counting sort of the rows by group. */
  private layOut(chunks: readonly RowBuffer[]): void {
    const { count, start, end, groupOfRow, day, price } = this
    let place = 0
    for (let group = 0; group < count; group++) {
      start[group] = place
      place += end[group]!
      end[group] = start[group]! // becomes the group's end as its rows are laid
    }
    let at = 0
    for (const chunk of chunks) {
      for (let row = 0; row < chunk.accepted; row++) {
        const to = end[groupOfRow[at++]!]!++
        day[to] = chunk.day[row]! & 31
        price[to] = chunk.price[row]!
      }
    }
  }

  private inIndexOrder(ports: PortTable): Int32Array {
    const { count, orig, dest, month } = this
    const { ids } = ports
    const sorted = this.sorted.subarray(0, count)
    const compare = (a: number, b: number): number =>
      ids[orig[a]!]! - ids[orig[b]!]! || ids[dest[a]!]! - ids[dest[b]!]! || month[a]! - month[b]!
    let inOrder = true
    for (let group = 0; group < count; group++) {
      sorted[group] = group
      if (inOrder && group > 0 && compare(group - 1, group) > 0) inOrder = false
    }
    if (inOrder || this.sortByKeys(sorted, ports)) return sorted
    return sorted.sort(compare)
  }

  /**
   * Sorts groups as numbers, which is four times as fast as by a comparison: port, port, month and the group itself in
   * one double, where they fit into its 53 bits, as they do but for huge numbers of ports.
   */
  private sortByKeys(sorted: Int32Array, ports: PortTable): boolean {
    const { count, orig, dest, month } = this
    let highest = 0
    let first = Infinity
    let last = 0
    for (let group = 0; group < count; group++) {
      highest = Math.max(highest, ports.ids[orig[group]!]!, ports.ids[dest[group]!]!)
      first = Math.min(first, month[group]!)
      last = Math.max(last, month[group]!)
    }
    const [portRange, monthRange] = [highest + 1, last - first + 1]
    if (Math.log2(portRange) * 2 + Math.log2(monthRange) + Math.log2(count) >= EXACT_BITS) return false
    const keys = this.keys.subarray(0, count)
    for (let group = 0; group < count; group++) {
      const pair = ports.ids[orig[group]!]! * portRange + ports.ids[dest[group]!]!
      keys[group] = (pair * monthRange + month[group]! - first) * count + group
    }
    keys.sort()
    for (let i = 0; i < count; i++) sorted[i] = keys[i]! % count
    return true
  }
}

/** Twice as many slots as rows at least, a power of two. */
const slotsFor = (rows: number): number => 2 ** Math.ceil(Math.log2(Math.max(rows, 512) * 2))
