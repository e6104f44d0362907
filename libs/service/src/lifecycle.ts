import { type Logger } from './log.ts'

/**
 * What was acquired is released in reverse order; every release runs even if one fails, and their faults gather in one
 * AggregateError.
 */
export class Lifecycle {
  private readonly releases: { name: string; release: () => Promise<void> | void }[] = []
  private stopped: Promise<void> | undefined

  defer(name: string, release: () => Promise<void> | void): void {
    this.releases.push({ name, release })
  }

  /** Stops once, however often it is called. @throws AggregateError */
  stop(): Promise<void> {
    this.stopped ??= this.unwind()
    return this.stopped
  }

  private async unwind(): Promise<void> {
    const faults: Error[] = []
    for (let next = this.releases.pop(); next; next = this.releases.pop()) {
      try {
        await next.release()
      } catch (cause) {
        faults.push(new Error(`could not stop ${next.name}`, { cause }))
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, faults.map((fault) => fault.message).join('; '))
  }
}

/**
 * Runs until SIGTERM, SIGINT or `failed` rejects, then stops in two stages: the first signal drains, a second one or the
 * deadline ends the process with code 1. A clean stop ends it with 0, a failure with 1.
 */
export async function runUntilSignal(
  log: Logger,
  lifecycle: Lifecycle,
  options: { deadlineSeconds: number; onSignal?: () => void; failed?: Promise<never> },
): Promise<never> {
  for (const signal of SIGNALS) process.off(signal, endBeforeStart)
  const failure = await new Promise<Error | undefined>((resolve) => {
    const signalled = (signal: NodeJS.Signals): void => {
      log.info({ signal }, 'stopping')
      for (const each of SIGNALS) process.on(each, () => process.exit(1))
      resolve(undefined)
    }
    for (const signal of SIGNALS) process.once(signal, signalled)
    options.failed?.catch((error: Error) => resolve(error))
  })
  if (failure) log.error({ err: failure }, 'failed')
  options.onSignal?.()
  const deadline = setTimeout(() => {
    log.error({ seconds: options.deadlineSeconds }, 'did not stop before the deadline')
    process.exit(1)
  }, options.deadlineSeconds * 1000)
  deadline.unref()
  let code = failure ? 1 : 0
  try {
    await lifecycle.stop()
    log.info('stopped')
  } catch (error) {
    log.error({ err: error }, 'stopped badly')
    code = 1
  }
  process.exit(code)
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Nothing is in hand yet. The first process of a container does not hear of a signal unless it listens. */
const endBeforeStart = (): never => process.exit(0)

/** A service's main: settings that are wrong, or a start that fails, end it with code 1 and one message. */
export function main(name: string, start: () => Promise<never>): void {
  for (const signal of SIGNALS) process.on(signal, endBeforeStart)
  start().catch((error: Error) => {
    if (error.name === 'ConfigError') console.error(`${name}: ${error.message}`)
    else console.error(`${name} did not start:`, error)
    process.exit(1)
  })
}
