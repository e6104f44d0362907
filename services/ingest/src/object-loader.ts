import { type Logger } from '@rates/service/log'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Drained, LoadRun, type LoadDeps } from './object-load.ts'
import { type ObjectLoad } from './object-loads.ts'

const IDLE_MILLISECONDS = 250
const FAULT_MILLISECONDS = 1_000

/** Loads objects, so many side by side, as long as there are some; never in the hands of the loop that takes records. */
export class ObjectLoader {
  private readonly ending = new AbortController()
  private readonly slots: Promise<void>[]
  private readonly deps: LoadDeps
  private readonly worker: string
  private readonly log: Logger

  constructor(deps: LoadDeps, worker: string, atOnce: number) {
    this.deps = deps
    this.worker = worker
    this.log = deps.log
    this.slots = Array.from({ length: atOnce }, () => this.work())
  }

  /** What is under way is given back, so that another worker goes on at once where this one stopped. */
  async stop(): Promise<void> {
    this.ending.abort(new Drained())
    await Promise.all(this.slots)
  }

  private async work(): Promise<void> {
    const { signal } = this.ending
    const rest = (milliseconds: number) => sleep(milliseconds, undefined, { signal }).catch(() => undefined)
    while (!signal.aborted) {
      // Of this load alone: a worker's name comes again after a restart.
      const holder = `${this.worker}/${randomBytes(6).toString('hex')}`
      let load: ObjectLoad | undefined
      try {
        load = await this.deps.loads.take(holder)
      } catch (error) {
        this.log.warn({ err: error }, 'could not look for objects to load, trying again')
        await rest(FAULT_MILLISECONDS)
        continue
      }
      if (load) await new LoadRun(this.deps, load, holder, signal).run()
      else await rest(IDLE_MILLISECONDS)
    }
  }
}
