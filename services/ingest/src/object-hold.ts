import { type Logger } from '@rates/service/log'
import { LEASE_SECONDS, type LoadProgress, type ObjectLoads } from './object-loads.ts'

/** A batch that was cancelled, or is too late, is to cost nothing for long. */
const RENEW_MILLISECONDS = 1_000
/** Before it runs out: the clocks of two machines need not be equally fast. */
const MARGIN_SECONDS = 5

/** Another loader may have the load by now. */
export class LeaseLost extends Error {
  constructor() {
    super('its lease was lost')
    this.name = 'LeaseLost'
  }
}

/** The batch has its outcome: nothing more is to be sent of it. */
export class BatchOver extends Error {
  /** All of it was there, so all of it was sent. */
  readonly isWhole: boolean
  constructor(state: string) {
    super(`its batch has ended: ${state}`)
    this.name = 'BatchOver'
    this.isWhole = state !== 'failed' && state !== 'cancelled'
  }
}

/**
 * Keeps the lease of one load, and notes how far it is, each second. `signal` aborts when the load is to be left off: with
 * LeaseLost, BatchOver, or the reason of whoever ends all loads. A process that was held up finds out before it goes on
 * for long; what it has sent meanwhile another one sent, too, byte by byte.
 */
export class Hold {
  readonly progress: LoadProgress = { chunks: 0, rows: 0, bytes: 0 }
  readonly signal: AbortSignal
  private readonly over = new AbortController()
  private readonly timer: NodeJS.Timeout
  private renewing: Promise<void> | undefined
  private heldUntil = performance.now() + (LEASE_SECONDS - MARGIN_SECONDS) * 1000
  private readonly loads: ObjectLoads
  private readonly no: bigint
  private readonly holder: string
  private readonly log: Logger

  constructor(loads: ObjectLoads, no: bigint, holder: string, ending: AbortSignal, log: Logger) {
    this.loads = loads
    this.no = no
    this.holder = holder
    this.log = log
    this.signal = AbortSignal.any([this.over.signal, ending])
    this.timer = setInterval(() => {
      if (performance.now() > this.heldUntil) this.over.abort(new LeaseLost())
      else this.renewing ??= this.renew().finally(() => (this.renewing = undefined))
    }, RENEW_MILLISECONDS)
  }

  async release(): Promise<void> {
    clearInterval(this.timer)
    await this.renewing
  }

  private async renew(): Promise<void> {
    const asked = performance.now()
    try {
      const state = await this.loads.renew(this.no, this.holder, this.progress)
      if (state === undefined) this.over.abort(new LeaseLost())
      else if (state !== null && state !== 'open') this.over.abort(new BatchOver(state))
      else this.heldUntil = asked + (LEASE_SECONDS - MARGIN_SECONDS) * 1000
    } catch (error) {
      this.log.warn({ err: error }, 'could not renew the lease of a load')
    }
  }
}
