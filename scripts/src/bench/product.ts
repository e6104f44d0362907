import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeChunkHeaders, type BatchHeaders } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { type OutgoingRecord } from '@rates/service/kafka'
import { produceBatch } from '@rates/service/produce-batch'
import { readPieces } from './inputs.ts'
import { type Site } from './site.ts'

let named = 0

/** An id that no batch has yet. */
export const newBatchId = (what: string): string => `${what}-${process.pid}-${++named}`

/** Sends a file as one batch; its id is in `headers`. @returns seconds until the last chunk was acknowledged */
export async function send(site: Site, file: string, headers: BatchHeaders): Promise<number> {
  const started = performance.now()
  await produceBatch(site.producer, site.topics, readPieces(file), 'csv', { source: 'bench', ...headers })
  return (performance.now() - started) / 1000
}

/** The files' rows as batches of one chunk each, some 900 kB a request to the broker. @returns their ids */
export async function sendSmall(site: Site, files: readonly string[], what: string): Promise<string[]> {
  const bodies = await Promise.all([...new Set(files)].map(async (file) => [file, await readFile(file)] as const))
  const known = new Map(
    bodies.map(([file, body]) => [
      file,
      { body, sha: sha256(body).toString('hex'), rows: body.toString('latin1').trimEnd().split('\n').length },
    ]),
  )
  const ids: string[] = []
  let records: OutgoingRecord[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    if (records.length > 0) await site.producer.send(records)
    records = []
    bytes = 0
  }
  for (const file of files) {
    const { body, sha, rows } = known.get(file)!
    const batch = { batchId: newBatchId(what), source: 'bench' }
    ids.push(batch.batchId)
    const chunk = {
      chunk: 0,
      chunks: 1,
      rows,
      sha256: sha,
      contentType: 'text/csv',
      contentEncoding: 'identity',
    } as const
    records.push({ topic: site.topics.batches, headers: writeChunkHeaders({ batch, ...chunk }), value: body })
    bytes += body.length
    if (bytes > 600_000) await flush()
  }
  await flush()
  return ids
}

/** Freezes the workers, which have joined their groups, while `work` sends; they start to fetch when it is done. */
export async function whileFrozen<T>(site: Site, work: () => Promise<T>): Promise<{ result: T; started: number }> {
  for (const { pid } of site.workers) process.kill(pid, 'SIGSTOP')
  try {
    const result = await work()
    return { result, started: performance.now() }
  } finally {
    for (const { pid } of site.workers) process.kill(pid, 'SIGCONT')
  }
}

export type Outcome = 'succeeded' | 'failed'

/** Waits until all of the batches have this outcome. @throws when one has another */
export async function untilEnded(site: Site, ids: readonly string[], wanted: Outcome = 'succeeded'): Promise<void> {
  for (const deadline = Date.now() + 600_000; ; await sleep(ids.length > 1 ? 20 : 4)) {
    const { rows } = await site.db.query<{ ended: number; other: string | null; error: unknown }>({
      name: 'ended',
      text: `select count(*)::int as ended, min(id) filter (where state <> $2) as other,
          min(error::text) filter (where state <> $2) as error
        from batches where id = any ($1) and state <> 'open'`,
      values: [ids, wanted],
    })
    const { ended, other, error } = rows[0]!
    if (other !== null) throw new Error(`batch ${other} did not end as ${wanted}: ${String(error)}`)
    if (ended === ids.length) return
    if (Date.now() > deadline) throw new Error(`${ids.length - ended} batches did not end within ten minutes`)
  }
}

export interface ProductRun {
  batchId: string
  sendSeconds: number
  /** From the workers' start of fetching to the batch being visible, or having failed. */
  loadSeconds: number
}

/** One batch whose rows lie in Kafka already, until it has its outcome. */
export async function loadBatch(site: Site, file: string, what: string, wanted?: Outcome): Promise<ProductRun> {
  const batchId = newBatchId(what)
  const { result: sendSeconds, started } = await whileFrozen(site, () => send(site, file, { batchId }))
  await untilEnded(site, [batchId], wanted)
  return { batchId, sendSeconds, loadSeconds: (performance.now() - started) / 1000 }
}

/** Many batches of one chunk that lie in Kafka already, until all are visible. @returns seconds */
export async function loadSmall(site: Site, files: readonly string[], what: string): Promise<number> {
  const { result: ids, started } = await whileFrozen(site, () => sendSmall(site, files, what))
  await untilEnded(site, ids)
  return (performance.now() - started) / 1000
}
