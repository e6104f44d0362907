import { warmWorkers, type Section } from '../bench.ts'
import { openModel, type Send } from '../load-model.ts'
import { ms, seconds, short, spread, type Spread } from '../numbers.ts'
import { newBatchId, send, untilEnded, whileFrozen } from '../product.ts'
import { atMost } from '../table.ts'

export interface LanesResult {
  small: number
  big: number
  /** Milliseconds from the moment a small batch was due to be sent until it is visible. */
  alone: Spread
  beside: Spread
  /** How long the big ones took meanwhile. */
  bigSeconds: number[]
}

const RATE = 10

/** Small batches, ten a second, alone and while a big one loads. */
export const lanes: Section<LanesResult> = {
  async run(bench) {
    const { plan, site, inputs, step } = bench
    const [small, , , big] = plan.sizes
    await warmWorkers(bench, site, 2)
    await site.empty()
    const file = await inputs.csv({ rows: small, order: 'pair' })
    const bigFile = await inputs.csv({ rows: big, order: 'pair' })
    const sendOne: Send = async () => {
      const batchId = newBatchId('small')
      await send(site, file, { batchId })
      await untilEnded(site, [batchId])
    }
    const steady = { rate: RATE, connections: 4 }
    await openModel(sendOne, { ...steady, seconds: 1 })
    const alone = await openModel(sendOne, { ...steady, seconds: plan.readSeconds * 2 })
    const beside: number[] = []
    const bigSeconds: number[] = []
    for (let run = 0; run < (plan.quick ? 1 : 4); run++) {
      const batchId = newBatchId('big')
      const { started } = await whileFrozen(site, () => send(site, bigFile, { batchId }))
      const over = new AbortController()
      const ended = untilEnded(site, [batchId]).then(() => {
        bigSeconds.push((performance.now() - started) / 1000)
        over.abort()
      })
      const samples = await openModel(sendOne, { ...steady, seconds: 600, signal: over.signal })
      await ended
      beside.push(...samples.map((each) => each.ms))
      step(`  ${big} rows in ${bigSeconds.at(-1)!.toFixed(2)} s beside ${samples.length} small batches`)
    }
    await site.empty()
    return { small, big, alone: spread(alone.map((each) => each.ms)), beside: spread(beside), bigSeconds }
  },

  tables: ({ small, big, alone, beside, bigSeconds }) => [
    {
      title: `A batch of ${short(small)} rows from the moment it is sent until it is visible, ${RATE} of them a second`,
      head: ['', 'batches', 'p50', 'p95', 'longest'],
      rows: [
        ['alone', String(alone.count), ms(alone.p50), ms(alone.p95), ms(alone.max)],
        [`while ${short(big)} rows load`, String(beside.count), ms(beside.p50), ms(beside.p95), ms(beside.max)],
      ],
      note: `The ${short(big)} rows took ${bigSeconds.map(seconds).join(', ')} meanwhile.`,
    },
  ],

  checks: ({ small, big, alone, beside }) => [
    atMost(
      `p95 of ${short(small)} rows while ${short(big)} load (twice the unloaded p95, or 250 ms)`,
      beside.p95,
      Math.max(2 * alone.p95, 250),
      ms,
    ),
  ],
}
