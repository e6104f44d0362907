import { setTimeout as sleep } from 'node:timers/promises'
import { isTransient } from '@rates/service/transient'

/** How long a Job waits for servers that are starting. */
const PATIENCE_SECONDS = 60

/**
 * Runs a Job of Kubernetes: settings that are wrong end it with code 2, what fails with 1 and one message, a signal at
 * once (the first process of a container would not hear of it otherwise).
 */
export function runJob(name: string, work: () => Promise<void>): void {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)
    process.once(signal, () => process.exit(code))
  work().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(`${name}: ${messageOf(error)}`)
      process.exit((error as Error | undefined)?.name === 'ConfigError' ? 2 : 1)
    },
  )
}

/** Tries again while a server cannot be reached, which it tells once, but not for ever. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_SECONDS * 1000
  for (let told = ''; ;) {
    try {
      return await work()
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) throw error
      const message = messageOf(error)
      if (message !== told) console.log(`trying again for ${PATIENCE_SECONDS} s: ${(told = message)}`)
    }
    await sleep(1000)
  }
}

/** A password that is refused is not waited for: somebody has to mend it. */
function isPassing(error: unknown): boolean {
  const fault = innermost(error)
  return isTransient(fault) && !(fault as { code?: string }).code?.startsWith('28')
}

export function messageOf(error: unknown): string {
  const fault = innermost(error)
  return fault instanceof Error ? fault.message || fault.name : String(fault)
}

/** A refused connection to both addresses of a host is an AggregateError without a message. */
const innermost = (error: unknown): unknown => (error instanceof AggregateError ? error.errors[0] : error)
