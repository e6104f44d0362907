import { DigestSum, digestHex, hashBytes } from '@rates/core/digest'
import { MAX_PRICE } from '@rates/core/limits'
import { parseDay } from '@rates/core/months'
import { DumpRefused, shown } from './dump-refused.ts'
import { type DumpSink, type Row } from './dump-rows.ts'

const COLUMNS = ['orig_code', 'dest_code', 'day', 'price'] as const
/** Distinct codes; whether they are ports can be asked only at the end, for the ports may come behind the prices. */
const MAX_CODES = 500_000

/** Checks each price's day and amount, sums the digest, and keeps which codes were named, with the first line of each. */
export class PriceCheck implements Pick<DumpSink, 'price'> {
  rows = 0
  private readonly sum = new DigestSum()
  private readonly codes = new Map<string, number>()
  private readonly firstLines: number[] = []
  private words = new Int32Array(4 * 1024)
  private readonly lastCodes = [new LastCode(), new LastCode()] as const

  price(row: Row): void {
    const { bytes, starts, ends } = row
    for (let column = 0; column < 4; column++) {
      if (starts[column]! < 0) throw new DumpRefused(row.line, `${COLUMNS[column]} of a price is NULL`)
    }
    const orig = this.code(row, 0)
    const dest = this.code(row, 1)
    const day = parseDay(bytes, starts[2]!, ends[2]!)
    if (day < 0) {
      const rule = day === -1 ? 'is no date written YYYY-MM-DD' : 'is not between 1970-01-01 and 2199-12-31'
      throw new DumpRefused(row.line, `day ${shown(row.text(2))} of a price ${rule}`)
    }
    const price = parsePrice(bytes, starts[3]!, ends[3]!)
    if (price < 0) {
      throw new DumpRefused(row.line, `price ${shown(row.text(3))} is no whole number from 1 to ${MAX_PRICE}`)
    }
    this.sum.addRow(this.words, orig * 4, dest * 4, day, price)
    this.rows++
  }

  digest(): string {
    return digestHex(this.sum.bytes())
  }

  checkCodes(isPort: (code: string) => boolean): void {
    const nowhere = [...this.codes.entries()].filter(([code]) => !isPort(code))
    const [first] = nowhere
    if (!first) return
    const more = nowhere.length > 1 ? ` (and ${nowhere.length - 1} more codes like it)` : ''
    throw new DumpRefused(
      this.firstLines[first[1]]!,
      `prices name the port ${shown(first[0])}, which is not there${more}`,
    )
  }

  private code(row: Row, column: 0 | 1): number {
    const { bytes } = row
    const start = row.starts[column]!
    const end = row.ends[column]!
    const last = this.lastCodes[column]
    if (last.is(bytes, start, end)) return last.index
    const text = row.text(column)!
    let index = this.codes.get(text)
    if (index === undefined) {
      index = this.codes.size
      if (index >= MAX_CODES) throw new DumpRefused(row.line, `foreign dump: prices name more than ${MAX_CODES} ports`)
      this.codes.set(text, index)
      this.firstLines.push(row.line)
      if (this.words.length < (index + 1) * 4) {
        const more = new Int32Array(this.words.length * 2)
        more.set(this.words)
        this.words = more
      }
      hashBytes(bytes, start, end, this.words, index * 4)
    }
    last.set(bytes, start, end, index)
    return index
  }
}

/** The code of the row before, for a dump is mostly in order of pairs: comparing is cheaper than looking up. */
class LastCode {
  index = -1
  private readonly bytes = Buffer.alloc(32)
  private length = -1

  is(bytes: Buffer, start: number, end: number): boolean {
    if (end - start !== this.length) return false
    for (let i = 0; i < this.length; i++) if (bytes[start + i] !== this.bytes[i]) return false
    return true
  }

  set(bytes: Buffer, start: number, end: number, index: number): void {
    this.index = index
    this.length = end - start <= this.bytes.length ? bytes.copy(this.bytes, 0, start, end) : -1
  }
}

/** As PostgreSQL writes an integer from 1 to 2147483647, or -1. */
function parsePrice(bytes: Buffer, start: number, end: number): number {
  if (start === end || end - start > 10 || bytes[start] === 0x30) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value <= MAX_PRICE ? value : -1
}
