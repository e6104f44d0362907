import { setTimeout as sleep } from 'node:timers/promises'
import { type Exit } from '@rates/local/processes'

/** A process that runs. */
export interface Part {
  pid: number
  exited: Promise<Exit>
  stop(): Promise<unknown>
}

export interface SuperviseOptions {
  name: string
  /** Starts it again; an error counts as a death. */
  start: () => Promise<Part>
  onDeath: (death: { name: string; reason: string; againInMs: number }) => void
  onRestart: (restart: { name: string; part: Part }) => void
  /** The first wait; it doubles up to 30 s. */
  firstWaitMs?: number
  /** One that has run this long is well: the next wait is the first one again. */
  wellAfterMs?: number
}

const longestWaitMs = 30_000

/** Keeps a part running: one that ends without being told to is started again, ever more slowly if it keeps ending. */
export class Supervised {
  private part: Part
  private readonly options: SuperviseOptions
  private readonly stopping = new AbortController()
  private readonly watching: Promise<void>

  constructor(part: Part, options: SuperviseOptions) {
    this.part = part
    this.options = options
    this.watching = this.watch()
  }

  get pid(): number {
    return this.part.pid
  }

  /** Stops it and starts it no more. */
  async stop(): Promise<void> {
    this.stopping.abort()
    await this.part.stop()
    await this.watching
  }

  private async watch() {
    const { firstWaitMs = 500, wellAfterMs = 30_000 } = this.options
    let waitMs = firstWaitMs
    let startedAt = Date.now()
    let reason = describeExit(await this.part.exited)
    while (!this.stopping.signal.aborted) {
      if (Date.now() - startedAt >= wellAfterMs) waitMs = firstWaitMs
      this.options.onDeath({ name: this.options.name, reason, againInMs: waitMs })
      await sleep(waitMs, undefined, { signal: this.stopping.signal }).catch(() => undefined)
      if (this.stopping.signal.aborted) return
      waitMs = Math.min(waitMs * 2, longestWaitMs)
      startedAt = Date.now()
      reason = await this.runOnce()
    }
  }

  /** Starts it and waits for its end, which it returns in words. */
  private async runOnce(): Promise<string> {
    const part = await this.options.start().catch((error: unknown) => error as Error)
    if (part instanceof Error) return part.message
    this.part = part
    if (this.stopping.signal.aborted)
      await part.stop() // told to stop while it was starting
    else this.options.onRestart({ name: this.options.name, part })
    return describeExit(await part.exited)
  }
}

export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `ended with code ${code}` : `was killed by ${signal}`
}
