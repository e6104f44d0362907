const REDRAW_MILLISECONDS = 100
const LINE_MILLISECONDS = 5_000
/** Speed is that of about the last seconds, so that a pause shows and the time left follows it. */
const MEMORY_SECONDS = 4
const BAR_WIDTH = 24

export interface ProgressOptions {
  /** What is counted: `rows`, or bytes shown as MB. */
  unit: 'rows' | 'bytes'
  /** Where the end is not known, the count and the speed are shown alone. */
  total?: number
  /** What was done before this step began: it is no speed. */
  from?: number
}

/** Where progress is shown. */
export type Screen = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }

/**
 * One line of progress: label, bar, percent, speed, time left. In a terminal it is redrawn in place, at most ten times a
 * second; elsewhere a plain line comes every five seconds, so that a log stays readable. Other text goes through note().
 * It writes to standard error: standard output is for results.
 */
export class Progress {
  private readonly out: Screen
  private readonly now: () => number
  private label = ''
  private options: ProgressOptions = { unit: 'rows' }
  private value = 0
  private comment = ''
  private began = 0
  private shown = -Infinity
  private samples: { at: number; value: number }[] = []
  private drawn = false
  private active = false

  constructor(out: Screen = process.stderr, now = () => performance.now()) {
    this.out = out
    this.now = now
    // Whoever read us may have gone (`2>&1 | head`): the work goes on all the same.
    if (out.listenerCount('error') === 0) out.on('error', () => undefined)
  }

  /** Begins a step, and ends the one before. */
  start(label: string, options: ProgressOptions): void {
    this.finish()
    const { from = 0 } = options
    Object.assign(this, { label, options, value: from, comment: '', began: this.now(), active: true })
    this.samples = [{ at: this.began, value: from }]
    this.shown = this.live ? -Infinity : this.began
    this.draw(false)
  }

  /** The end has become known, or another than it was. */
  expect(total: number): void {
    this.options = { ...this.options, total }
  }

  /** @param comment stands at the line's end, such as what is being waited for */
  update(value: number, comment = ''): void {
    if (!this.active) return
    this.value = value
    this.comment = comment
    const now = this.now()
    const last = this.samples.at(-1)!
    if (now - last.at >= 250) this.samples.push({ at: now, value })
    while (this.samples.length > 2 && now - this.samples[1]!.at > MEMORY_SECONDS * 1000) this.samples.shift()
    this.draw(false)
  }

  /** Ends the step; its last line stays. */
  finish(): void {
    if (!this.active) return
    this.draw(true)
    if (this.drawn) this.out.write('\n')
    this.active = this.drawn = false
  }

  /** Ends the step and takes its line away, as before an error message. */
  clear(): void {
    if (this.drawn) this.out.write('\r\x1b[2K')
    this.active = this.drawn = false
  }

  /** A line of text above the progress. */
  note(text: string): void {
    if (this.drawn) this.out.write('\r\x1b[2K')
    this.out.write(`${text}\n`)
    this.drawn = false
    if (this.active && this.live) this.draw(true)
  }

  private get live(): boolean {
    return this.out.isTTY === true && !process.env['CI']
  }

  private draw(last: boolean): void {
    const now = this.now()
    if (!last && now - this.shown < (this.live ? REDRAW_MILLISECONDS : LINE_MILLISECONDS)) return
    this.shown = now
    const line = this.line(last)
    if (!this.live) {
      this.out.write(`${line}\n`)
      return
    }
    // A longer line would wrap, and redrawing it would leave its first part behind.
    const width = Math.max(20, (this.out.columns || 80) - 1)
    this.out.write(`\r\x1b[2K${line.slice(0, width)}`)
    this.drawn = true
  }

  private line(last: boolean): string {
    const { unit, total, from = 0 } = this.options
    const seconds = (this.now() - this.began) / 1000
    const speed = last ? (this.value - from) / Math.max(seconds, 0.001) : this.recentSpeed()
    const parts = [this.label.padEnd(10)]
    if (total !== undefined) {
      const part = total > 0 ? Math.min(1, this.value / total) : 1
      if (this.live) parts.push(bar(part))
      parts.push(`${Math.floor(part * 100)} %`.padStart(5))
    }
    parts.push(unit === 'rows' ? `${count(this.value)} rows` : megabytes(this.value))
    if (speed > 0) parts.push(unit === 'rows' ? `${count(speed)} rows/s` : `${megabytes(speed)}/s`)
    if (last) parts.push(duration(seconds))
    else if (total !== undefined && speed > 0 && this.value < total) {
      parts.push(`${duration((total - this.value) / speed)} left`)
    }
    if (this.comment && !last) parts.push(this.comment)
    return parts.join('  ')
  }

  private recentSpeed(): number {
    const first = this.samples[0]!
    const seconds = (this.now() - first.at) / 1000
    return seconds > 0 ? (this.value - first.value) / seconds : 0
  }
}

/** Of a part from 0 to 1. */
export function bar(part: number): string {
  const filled = Math.round(part * BAR_WIDTH)
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
}

/** 1234567 as `1 234 567`: the same everywhere, whatever the locale. */
export const count = (n: number): string =>
  Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ')

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
