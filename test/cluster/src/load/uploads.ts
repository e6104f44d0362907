import { setTimeout as sleep } from 'node:timers/promises'
import { csv, type TestBatch } from '@rates/testing/batches'
import { ask, keepAlive } from './http-client.ts'
import { loadBatch, month, randomSize, remembered } from './load-batch.ts'
import { outcomeOf } from './outcomes.ts'
import { type Load } from './reads.ts'

export interface Uploading {
  url: string
  /** A second. */
  rate: number
  /** Called for each that was accepted, with the batch that it became. */
  accepted(batch: TestBatch): void
}

const MOST_ROWS = 5_000
/** A machine that cannot keep up is not buried: one that is due waits. */
const AT_ONCE = 8
/** Of ten uploads one takes its time, as over a slow line: there is always something in flight when a pod is to end. */
const SLOW_MILLISECONDS = 3_000

/** Uploads over HTTP at a steady rate, each with an Idempotency-Key. */
export function startUploads({ url, rate, accepted }: Uploading): Load {
  const agent = keepAlive(4)
  const outcomes: Load['outcomes'] = []
  const open = new Set<Promise<unknown>>()
  let stopped = false
  const one = async (number: number, due: number): Promise<void> => {
    const seed = 1_000_001 + 2 * number
    const batch = loadBatch(`upload-${number}`, randomSize(MOST_ROWS), seed, month(2000, number % 60))
    const body = csv(batch.lines)
    const slow = number % 10 === 9
    const step = Math.ceil(body.length / (slow ? 6 : 1))
    const pieces = Array.from({ length: Math.ceil(body.length / step) }, (_, i) =>
      body.subarray(i * step, (i + 1) * step),
    )
    const outcome = await outcomeOf(due, async () => {
      const answer = await ask(url, agent, {
        method: 'POST',
        path: '/batches',
        headers: { 'content-type': 'text/csv', 'idempotency-key': `cluster-${number}`, source: 'uploads' },
        body: pieces,
        pause: slow ? SLOW_MILLISECONDS / 6 : 0,
      })
      accepted(remembered(batch, seed, idOf(answer)))
    })
    outcomes.push(outcome)
  }
  const going = (async () => {
    for (let number = 0, due = Date.now(); !stopped; number++, due += 1000 / rate) {
      await sleep(Math.max(0, due - Date.now()))
      if (open.size >= AT_ONCE) await Promise.race(open)
      due = Math.max(due, Date.now())
      const sent: Promise<void> = one(number, due).finally(() => open.delete(sent))
      open.add(sent)
    }
  })()
  return {
    outcomes,
    async stop() {
      stopped = true
      await going
      await Promise.all(open)
      agent.destroy()
    },
  }
}

const idOf = (answer: string): string => (JSON.parse(answer) as { id: string }).id
