import { setTimeout as sleep } from 'node:timers/promises'

/** A request: when it was due (or sent, in a closed model) and how long it took from then, both in milliseconds. */
export interface Sample {
  /** Since 1970: comparable between processes of one machine. */
  at: number
  ms: number
}

/** Sends request number `request` by connection number `connection`; rejects if it fails. */
export type Send = (connection: number, request: number) => Promise<void>

const epoch = (): number => performance.timeOrigin + performance.now()

/**
 * Requests that are due at a steady rate whether or not earlier ones were answered, as those of independent users are.
 * A request's time counts from the moment it was due: where all connections are busy it includes the waiting for one, so
 * that a server that stops for a second is charged for everybody who came in that second (no coordinated omission).
 * Node's timers fire up to a millisecond late, and that is in the figures too.
 */
export async function openModel(
  send: Send,
  options: { rate: number; connections: number; seconds: number; signal?: AbortSignal },
): Promise<Sample[]> {
  const { rate, connections, seconds, signal } = options
  const samples: Sample[] = []
  const started = epoch()
  let next = 0
  const one = async (connection: number): Promise<void> => {
    while (signal?.aborted !== true) {
      const request = next++
      const at = started + (request * 1000) / rate
      if (at >= started + seconds * 1000) return
      const early = at - epoch()
      if (early > 0) await sleep(early)
      await send(connection, request)
      samples.push({ at, ms: epoch() - at })
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, connection) => one(connection)))
  return samples
}

/** Each connection sends its next request when the last was answered: finds the highest throughput. */
export async function closedModel(
  send: Send,
  options: { connections: number; seconds: number; signal?: AbortSignal },
): Promise<Sample[]> {
  const { connections, seconds, signal } = options
  const samples: Sample[] = []
  const end = epoch() + seconds * 1000
  let next = 0
  const one = async (connection: number): Promise<void> => {
    while (signal?.aborted !== true) {
      const at = epoch()
      if (at >= end) return
      await send(connection, next++)
      samples.push({ at, ms: epoch() - at })
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, connection) => one(connection)))
  return samples
}
