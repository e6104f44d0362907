/** A terminal whose last lines are redrawn in place, while others scroll by above them. */
export class LiveBlock {
  private readonly out: NodeJS.WritableStream & { columns?: number; rows?: number }
  private drawn = 0

  constructor(out: NodeJS.WritableStream & { columns?: number; rows?: number }) {
    this.out = out
  }

  /** Lines that the block may have. */
  get height(): number {
    return Math.max((this.out.rows || 24) - 2, 1)
  }

  /** A line that stays, above the block; the next show() brings the block back. */
  print(line: string): void {
    this.out.write(`${this.erased()}${line}\n`)
  }

  show(lines: readonly string[]): void {
    // A longer line would wrap, and more of them be drawn than are known of.
    const width = Math.max(20, (this.out.columns || 80) - 1)
    const before = this.erased()
    this.drawn = lines.length
    const text = lines.map((line) => `${line.slice(0, width)}\n`).join('')
    if (before !== '' || text !== '') this.out.write(before + text)
  }

  private erased(): string {
    const { drawn } = this
    this.drawn = 0
    return drawn === 0 ? '' : `\x1b[${drawn}A\r\x1b[J`
  }
}
