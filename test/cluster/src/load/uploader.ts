/** The process that uploads at a steady rate, each upload with an Idempotency-Key. */
import { setTimeout as sleep } from 'node:timers/promises'
import { csv } from '@rates/testing/batches'
import { ask, keepAlive } from './http-client.ts'
import { loadBatch, month, randomSize, type Memory } from './load-batch.ts'
import { runLoad } from './load-process.ts'
import { outcomeOf, type Outcome } from './outcomes.ts'

export interface Uploading {
  url: string
  /** A second. */
  rate: number
}

const MOST_ROWS = 5_000
/** A machine that cannot keep up is not buried: one that is due waits. */
const AT_ONCE = 8
/** Of ten uploads one takes its time, as over a slow line: there is always something in flight when a pod is to end. */
const SLOW = { every: 10, pieces: 6, milliseconds: 3_000 }

runLoad<Uploading, Memory>(async ({ url, rate }, stop, tell) => {
  const agent = keepAlive(4)
  const open = new Set<Promise<unknown>>()

  const upload = async (number: number, due: number): Promise<[Outcome, Memory | undefined]> => {
    const memory = { rows: randomSize(MOST_ROWS), seed: 1_000_001 + 2 * number, month: month(2000, number % 60) }
    const batch = loadBatch(`upload-${number}`, memory)
    const body = csv(batch.lines)
    const pieces = number % SLOW.every === 0 ? SLOW.pieces : 1
    const step = Math.ceil(body.length / pieces)
    let accepted: Memory | undefined
    const outcome = await outcomeOf(due, async () => {
      const answer = await ask(url, agent, {
        method: 'POST',
        path: '/batches',
        headers: { 'content-type': 'text/csv', 'idempotency-key': `cluster-${number}`, source: 'uploads' },
        body: Array.from({ length: pieces }, (_, i) => body.subarray(i * step, (i + 1) * step)),
        pause: SLOW.milliseconds / SLOW.pieces,
      })
      accepted = { ...memory, digest: batch.digest, id: (JSON.parse(answer) as { id: string }).id }
    })
    return [outcome, accepted]
  }

  for (let number = 0, due = Date.now(); !stop.aborted; number++, due += 1000 / rate) {
    await sleep(Math.max(0, due - Date.now()))
    if (open.size >= AT_ONCE) await Promise.race(open)
    due = Math.max(due, Date.now())
    const one = upload(number, due)
      .then((told) => tell(...told))
      .finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)
  agent.destroy()
})
