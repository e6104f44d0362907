import { setTimeout as sleep } from 'node:timers/promises'
import { readFile } from 'node:fs/promises'
import { type LoggedProcess } from '@rates/local/processes'
import { type Producer } from '@rates/service/kafka'
import { produceBatch, type SentBatch } from '@rates/service/produce-batch'
import { type TopicNames } from '@rates/service/topics'
import type pg from 'pg'

export interface ProductRun {
  sendSeconds: number
  /** From the workers' start of fetching to the batch being visible. */
  loadSeconds: number
  /** Highest RSS of a worker since it started. */
  peakBytes: number
  sent: SentBatch
}

/**
 * Rows that lie in Kafka already, until they are visible: the workers have joined their group and are frozen (SIGSTOP)
 * while the batch is sent; the clock runs from SIGCONT, when they start to fetch.
 */
export async function loadBatch(
  db: pg.Pool,
  producer: Producer,
  topics: TopicNames,
  workers: readonly LoggedProcess[],
  batchId: string,
  rows: Iterable<Buffer>,
): Promise<ProductRun> {
  for (const { pid } of workers) process.kill(pid, 'SIGSTOP')
  let loadSeconds: number
  let started: number
  let sent: SentBatch
  const sending = performance.now()
  try {
    sent = await produceBatch(
      producer,
      topics,
      (async function* () {
        yield* rows
      })(),
      'csv',
      { batchId, source: 'bench' },
    )
  } finally {
    started = performance.now()
    for (const { pid } of workers) process.kill(pid, 'SIGCONT')
  }
  for (;;) {
    const { rows: found } = await db.query<{ state: string; error: unknown }>(
      `select state, error from batches where id = $1 and state <> 'open'`,
      [batchId],
    )
    if (found[0]) {
      loadSeconds = (performance.now() - started) / 1000
      if (found[0].state !== 'succeeded') throw new Error(`batch ${batchId}: ${JSON.stringify(found[0])}`)
      break
    }
    await sleep(5)
  }
  const peaks = await Promise.all(workers.map(({ pid }) => peakBytes(pid)))
  return { sendSeconds: (started - sending) / 1000, loadSeconds, peakBytes: Math.max(...peaks), sent }
}

/** The highest RSS that a process has had (VmHWM). */
export async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
}
