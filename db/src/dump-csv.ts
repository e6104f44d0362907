import { type DumpSource } from './dump-file.ts'
import { DumpReader } from './dump-reader.ts'
import { DumpRefused } from './dump-refused.ts'
import { type Row } from './dump-rows.ts'
import { readBlocks } from './dump-source.ts'
import { PriceCheck } from './price-check.ts'

const COMMA = 0x2c
const LF = 0x0a
const QUOTE = 0x22

/**
 * The prices of a checked dump as CSV rows (orig_code,dest_code,day,price; no header line), in the order of the file.
 * Fails before its end if they are not those that were checked, because the file has changed since: whoever sends them
 * on has not sent the last chunk by then, so a batch of two halves is never complete.
 * @param digest of the prices, as checkDump gave it
 * @throws DumpRefused
 */
export async function* pricesAsCsv(source: DumpSource, digest: string): AsyncGenerator<Buffer> {
  const csv = new CsvBlock()
  const check = new PriceCheck()
  const price = (row: Row): void => {
    check.price(row)
    csv.add(row)
  }
  const reader = new DumpReader({ region: () => undefined, port: () => undefined, price })
  for await (const block of readBlocks(source)) {
    reader.push(block)
    if (csv.length > 0) yield csv.take()
  }
  reader.end()
  if (check.digest() !== digest) throw new DumpRefused(null, 'the file changed while it was read; import it again')
}

class CsvBlock {
  length = 0
  private bytes = Buffer.allocUnsafe(256 * 1024)

  add(row: Row): void {
    const { bytes, starts, ends } = row
    for (let column = 0; column < 4; column++) {
      const start = starts[column]!
      const end = ends[column]!
      this.makeRoom(2 * (end - start) + 3)
      if (needsQuotes(bytes, start, end)) this.putQuoted(bytes, start, end)
      else for (let i = start; i < end; i++) this.bytes[this.length++] = bytes[i]!
      this.bytes[this.length++] = column < 3 ? COMMA : LF
    }
  }

  /** What was added since the last call. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length)
    this.bytes = Buffer.allocUnsafe(Math.max(256 * 1024, this.length))
    this.length = 0
    return taken
  }

  private putQuoted(bytes: Buffer, start: number, end: number): void {
    this.bytes[this.length++] = QUOTE
    for (let i = start; i < end; i++) {
      if (bytes[i] === QUOTE) this.bytes[this.length++] = QUOTE
      this.bytes[this.length++] = bytes[i]!
    }
    this.bytes[this.length++] = QUOTE
  }

  private makeRoom(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    const more = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + bytes))
    this.bytes.copy(more, 0, 0, this.length)
    this.bytes = more
  }
}

function needsQuotes(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] === COMMA || bytes[i] === QUOTE) return true
  return false
}
