import { setTimeout as sleep } from 'node:timers/promises'
import { csv, type TestBatch } from '@rates/testing/batches'
import { type Line } from '@rates/testing/line'
import { observe } from '@rates/testing/observer'
import { type Violation } from '@rates/testing/violation'
import { produceBatch } from '@rates/service/produce-batch'
import { loadBatch, month, randomSize, remembered, type Memory } from './load-batch.ts'
import { type Load } from './load-process.ts'

export interface Producing {
  /** Small batches a second, of 1 to 20 000 rows. */
  rate: number
  /** Seconds between two large ones, and the rows of each. */
  largeEvery: number
  largeRows: number
  /** Called for each that Kafka has acknowledged. */
  accepted(batch: TestBatch): void
}

export interface BatchLoad extends Load {
  /** What readers saw of the large batches that they must not (I3). */
  violations: Violation[]
  /** Samples that readers took of them, and how many had nothing yet. */
  seen: { samples: number; nothing: number; all: number }
}

const MOST_ROWS = 20_000
/** How long one is sent again while the broker is away. */
const PATIENCE = 120_000

/** Batches over Kafka at a steady rate; of the large ones, each in a month of its own, readers watch every moment. */
export function startBatches(line: Line, { rate, largeEvery, largeRows, accepted }: Producing): BatchLoad {
  const load: BatchLoad = { outcomes: [], violations: [], seen: { samples: 0, nothing: 0, all: 0 }, stop }
  let stopped = false

  const send = async (batch: TestBatch & Memory, due: number): Promise<void> => {
    let retried: string | undefined
    for (let retries = 0; ; retries++) {
      const more = retried === undefined ? {} : { retried }
      try {
        await produce(line, batch)
        accepted(remembered(batch))
        return void load.outcomes.push({ at: due, ms: Date.now() - due, retries, ...more })
      } catch (error) {
        const { message } = error as Error
        if (Date.now() - due > PATIENCE) {
          return void load.outcomes.push({ at: due, ms: Date.now() - due, retries, failed: message, ...more })
        }
        retried ??= message
        await sleep(1_000)
      }
    }
  }
  const sendWatched = async (batch: TestBatch & Memory, due: number): Promise<void> => {
    const observer = await observe(line, [{ batch }], { everyMilliseconds: 150, acrossRestarts: true })
    await send(batch, due)
    await line.reply(batch.id, 180_000).catch(() => undefined) // that it got none is told by the invariants
    await observer.sampled()
    const { samples, seen, violations } = await observer.stop()
    load.violations.push(...violations)
    load.seen.samples += samples
    load.seen.nothing += seen.get(batch.id)!.nothing
    load.seen.all += seen.get(batch.id)!.all
  }
  /** One that is due waits while as many as allowed are under way: a machine that cannot keep up is not buried. */
  const repeat = async (
    perSecond: number,
    atOnce: number,
    one: (number: number, due: number) => Promise<void>,
  ): Promise<void> => {
    const open = new Set<Promise<unknown>>()
    for (let number = 0, due = Date.now(); !stopped; number++, due += 1000 / perSecond) {
      await sleep(Math.max(0, due - Date.now()))
      if (open.size >= atOnce) await Promise.race(open)
      if (stopped) break
      due = Math.max(due, Date.now())
      const at = due
      const sent: Promise<unknown> = one(number, at)
        .catch((error: Error) => load.outcomes.push({ at, ms: Date.now() - at, retries: 0, failed: error.message }))
        .finally(() => open.delete(sent))
      open.add(sent)
    }
    await Promise.all(open)
  }
  const going = Promise.all([
    repeat(rate, 8, (number, due) => {
      const recipe = { rows: randomSize(MOST_ROWS), seed: 2 * number + 1, month: month(2000, number % 60) }
      return send(loadBatch(`small-${number}`, recipe), due)
    }),
    repeat(1 / largeEvery, 1, (number, due) => {
      const recipe = { rows: largeRows, seed: 500_000 + number, month: month(1971, number) }
      return sendWatched(loadBatch(`large-${number}`, recipe), due)
    }),
  ])
  async function stop(): Promise<void> {
    stopped = true
    await going
  }
  return load
}

/** Sends it as every producer does: cut the same each time, so that sending it again is harmless. */
export function produce(line: Line, batch: TestBatch): Promise<{ chunks: number }> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const body = csv(batch.lines)
    for (let at = 0; at < body.length; at += 1 << 16) yield await Promise.resolve(body.subarray(at, at + (1 << 16)))
  }
  return produceBatch(line.producer, line.topics, pieces(), 'csv', { batchId: batch.id, source: 'batches' })
}
