import { type Section } from '../bench.ts'
import { mib, short, times } from '../numbers.ts'
import { watchMemory } from '../processes.ts'
import { loadBatch } from '../product.ts'
import { atMost } from '../table.ts'

export interface MemoryResult {
  sizes: {
    rows: number
    batches: number
    /** Bytes of a worker that has joined its groups and done nothing. */
    idle: number
    /** Highest of the worker that took most. */
    worker: number
    postgres: number
    broker: number
  }[]
}

/** Highest memory by size of batch, each in workers started for it. */
export const memory: Section<MemoryResult> = {
  async run({ plan, site, inputs, kafka, step }) {
    const sizes: MemoryResult['sizes'] = []
    const [small, , base, big] = plan.sizes
    // A worker's first batches let its heap grow to what it stays at: each size gets several.
    for (const [rows, batches] of [[small, 40] as const, [base, 5] as const, [big, 2] as const]) {
      await site.useWorkers(2, { fresh: true })
      await site.empty()
      const file = await inputs.csv({ rows, order: 'pair' })
      const watched = { workers: site.workers.map(({ pid }) => pid), postgres: site.postgresPid, broker: kafka.pid }
      const idle = (await (await watchMemory(watched))()).worker
      const stop = await watchMemory(watched)
      for (let i = 0; i < batches; i++) await loadBatch(site, file, 'memory')
      const peaks = await stop()
      step(`  ${rows} rows: a worker ${mib(peaks.worker)}, idle ${mib(idle)}`)
      sizes.push({ rows, batches, idle, ...peaks })
    }
    await site.empty()
    return { sizes }
  },

  tables: ({ sizes }) => [
    {
      title: 'Highest memory by size of batch, in workers started for it',
      head: ['', 'batches', 'a worker, idle', 'a worker', 'PostgreSQL', 'broker'],
      rows: sizes.map(({ rows, batches, idle, worker, postgres, broker }) => [
        `${short(rows)} rows`,
        String(batches),
        mib(idle),
        mib(worker),
        mib(postgres),
        mib(broker),
      ]),
      note: 'PostgreSQL: what each backend has for itself, and what they share counted once.',
    },
  ],

  checks: ({ sizes }) => {
    const all = sizes.map(({ worker }) => worker)
    const [small, big] = [sizes[0]!, sizes.at(-1)!]
    return [
      atMost('highest memory of a worker', Math.max(...all), 256 * 2 ** 20, mib),
      atMost(
        `a worker at ${short(big.rows)} rows, of one at ${short(small.rows)}`,
        Math.max(small.worker, big.worker) / Math.min(small.worker, big.worker),
        1.15,
        times,
      ),
    ]
  },
}
