import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '@rates/db/migrate'
import { startKafka, type RunningKafka } from '@rates/local/kafka'
import { forgetPostgres, startPostgres, type RunningPostgres } from '@rates/local/postgres'
import { produceBatch } from '@rates/service/produce-batch'
import { csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { holdPacks, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'
import { factsOf, settled, type Facts } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'

/** A PostgreSQL and a broker that a test may stop and kill, and a line on them. */
export interface OwnServers {
  line: Line
  postgres: { version: string; kill(signal: NodeJS.Signals): Promise<void>; startAgain(): Promise<void> }
  kafka: { kill(signal: NodeJS.Signals): Promise<void>; startAgain(): Promise<void> }
  stop(): Promise<void>
}

/** @param options.binaries of another PostgreSQL than the embedded one */
export async function startOwnServers(options: { binaries?: string; partitions?: number } = {}): Promise<OwnServers> {
  const dir = await mkdtemp(join(tmpdir(), 'rates-e2e-'))
  const releases: (() => Promise<void>)[] = [() => rm(dir, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const release of releases.splice(0).reverse()) await release()
  }
  try {
    const folder = join(dir, 'postgres')
    const { binaries, partitions = 6 } = options
    const start = (port: number): Promise<RunningPostgres> =>
      startPostgres({ dir: folder, port, ...(binaries !== undefined && { binaries }) })
    let postgres = await start(0)
    releases.push(() => forgetPostgres(folder))
    releases.push(() => postgres.stop())
    let kafka: RunningKafka = await startKafka({ dir: join(dir, 'kafka'), port: 0 })
    releases.push(() => kafka.stop())
    await migrate(postgres.url)
    const line = await startLine({ databaseUrl: postgres.url, brokers: [kafka.brokers], partitions })
    releases.push(() => line.close())
    const { rows } = await line.pool.query<{ server_version: string }>('show server_version')
    return {
      line,
      postgres: {
        version: rows[0]!.server_version,
        async kill(signal) {
          process.kill(postgres.pid, signal)
          await postgres.exited
        },
        async startAgain() {
          postgres = await start(postgres.port)
        },
      },
      kafka: {
        async kill(signal) {
          process.kill(kafka.pid, signal)
          await kafka.exited
        },
        async startAgain() {
          kafka = await startKafka({ dir: join(dir, 'kafka'), port: kafka.port })
        },
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Sends the batch as every producer does. */
export async function produce(line: Line, batch: TestBatch): Promise<{ chunks: number }> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const body = csv(batch.lines)
    for (let at = 0; at < body.length; at += 1 << 16) yield await Promise.resolve(body.subarray(at, at + (1 << 16)))
  }
  return produceBatch(line.producer, line.topics, pieces(), 'csv', { batchId: batch.id })
}

/** Waits until so many chunks are stored; true if there are more to come. */
async function inTheMiddle(line: Line, batch: TestBatch, chunks: number): Promise<boolean> {
  const { state } = await eventually(
    async () => {
      const { rows } = await line.pool.query<{ state: string; chunks: number }>(
        `select state, (select count(*)::int from batch_chunks where batch_no = no) as chunks from batches where id = $1`,
        [batch.id],
      )
      return rows[0] !== undefined && rows[0].chunks >= chunks && rows[0]
    },
    { within: 60_000, every: 5, what: `${chunks} chunks being stored` },
  )
  return state === 'open'
}

/** The outcome of a batch that has to have come through whole, with one reply, and nothing left. */
export async function finalFacts(line: Line, batch: TestBatch): Promise<Facts> {
  await line.reply(batch.id, 120_000)
  await settled(line, 60_000)
  return factsOf(line, batch)
}

/** A batch of 1 000 000 rows that two workers are in the middle of. */
export async function loadToTheMiddle({ line }: OwnServers): Promise<{ batch: TestBatch; workers: ServiceProcess[] }> {
  const batch = testBatch(1_000_000, { sorted: true })
  const workers = await Promise.all([startWorkerProcess(line), startWorkerProcess(line)])
  const packs = await holdPacks(line)
  await produce(line, batch)
  await packs.waiting(2)
  await packs.release()
  if (!(await inTheMiddle(line, batch, 3))) throw new Error('the batch ended before it was interrupted')
  return { batch, workers }
}
