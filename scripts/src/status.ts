/** Tells what a step is doing; a fleeting note is only for those who look at the terminal now. */
export type Note = (text: string, fleeting?: boolean) => void

/**
 * What `rates start` shows: a line for each step when it is done, with its time, and events as they come. In a terminal
 * the last line tells what is going on now and is redrawn; elsewhere only downloads are announced.
 */
export class Status {
  private readonly active = new Map<string, { since: number; note: string }>()
  private readonly out: NodeJS.WriteStream
  private readonly live: boolean
  private timer: NodeJS.Timeout | undefined

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.out = out
    this.live = out.isTTY && !process.env['CI']
  }

  /** Runs a step; what it returns in words becomes the end of its line. */
  async step<T>(title: string, work: (note: Note) => Promise<T>, say?: (result: T) => string) {
    const step = { since: Date.now(), note: '' }
    this.active.set(title, step)
    this.timer ??= this.live ? setInterval(() => this.draw(), 250) : undefined
    try {
      const result = await work((text, fleeting = false) => {
        if (!this.live && !fleeting && text !== step.note && !/: \d+ files,/.test(text))
          this.line(`  ${title}: ${text}`)
        step.note = text
      })
      this.end(title)
      this.line(`  ${title.padEnd(12)} ${seconds(step.since).padStart(7)}  ${say?.(result) ?? ''}`.trimEnd())
      return result
    } catch (error) {
      this.end(title)
      throw error
    }
  }

  /** A line that stays. */
  line(text = ''): void {
    this.out.write(this.live ? `\r\x1b[2K${text}\n` : `${text}\n`)
    this.draw()
  }

  /** An event, with the time of day. */
  event(text: string): void {
    this.line(`${new Date().toTimeString().slice(0, 8)}  ${text}`)
  }

  private end(title: string) {
    this.active.delete(title)
    if (this.active.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
    if (this.live) this.out.write('\r\x1b[2K')
  }

  private draw() {
    if (!this.live || this.active.size === 0) return
    const parts = [...this.active].map(([title, { since, note }]) => `${title}${note && `: ${note}`} ${seconds(since)}`)
    this.out.write(`\r\x1b[2K  … ${parts.join(', ')}`.slice(0, (this.out.columns || 80) + 4))
  }
}

const seconds = (since: number) => `${((Date.now() - since) / 1000).toFixed(1)} s`
