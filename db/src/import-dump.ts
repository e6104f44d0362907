import { setTimeout as sleep } from 'node:timers/promises'
import { connectionOptions } from '@rates/service/database-address'
import { connectProducer, type KafkaSettings } from '@rates/service/kafka'
import { connectAdmin } from '@rates/service/kafka-admin'
import { type KafkaSecurity } from '@rates/service/kafka-security'
import { type Logger } from '@rates/service/log'
import { createPool, withTransaction } from '@rates/service/postgres'
import { produceBatch } from '@rates/service/produce-batch'
import { missingTopics, topicNames } from '@rates/service/topics'
import pg from 'pg'
import { checkDump, type CheckedDump } from './check-dump.ts'
import { pricesAsCsv } from './dump-csv.ts'
import { fileSource, type DumpSource } from './dump-file.ts'
import { awaitOutcome, chooseBatch, ImportRefused } from './import-batch.ts'
import { readCatalogue, upsertCatalogue, type UpsertCounts } from './upsert-catalogue.ts'

export interface ImportOptions {
  /** A plain pg_dump of the original schema, gzipped or not: a path, or where else its bytes are. */
  file: string | DumpSource
  /** A direct connection: an advisory lock is held while the import runs. */
  databaseUrl: string
  kafka: { brokers: string[]; prefix: string; security?: KafkaSecurity | undefined }
  log: Logger
  /** Send prices anew whose earlier batch failed, was cancelled or reverted. */
  again?: boolean
  /**
   * For imports that nobody watches, as at every start: where these prices were imported before, also if they were
   * reverted since, leave regions and ports alone too, for they may have been changed since.
   */
  once?: boolean
  onProgress?: (step: ImportProgress) => void
  signal?: AbortSignal
}

export type ImportProgress =
  /** Another import is running. */
  | { step: 'queue' }
  /** First reading; bytes of the file as it lies on disk. */
  | { step: 'check'; bytes: number; totalBytes: number; rows: number }
  /** Second reading: rows that Kafka has acknowledged. */
  | { step: 'send'; rows: number; totalRows: number }
  /** Rows that the platform has stored; `error` while PostgreSQL does not answer. */
  | { step: 'wait'; rows: number; totalRows: number; error?: Error }

export interface ImportOutcome {
  regions: UpsertCounts
  ports: UpsertCounts
  /** Prices in the dump. */
  rows: number
  /** null: the dump holds no prices. */
  batchId: string | null
  /** The prices had been imported before; nothing was sent. */
  alreadyImported: boolean
  seconds: number
}

/** 'rates' in ASCII and one more than the migrators' lock. */
const LOCK = 0x7261746574

/**
 * Imports a dump of the original schema: checks all of it, writes regions and ports in one transaction, sends the prices
 * as one batch by the same way as any other, and waits for its outcome. Harmless to repeat, also after it was broken
 * off: the batch's id and its cutting follow from the content, so a repetition continues what is there.
 *
 * @throws DumpRefused for the file, ImportRefused for the ledger's verdict (nothing is visible in both cases), the
 * signal's reason or an AbortError, errors of the file system, PostgreSQL and Kafka
 */
export async function importDump(options: ImportOptions): Promise<ImportOutcome> {
  const { file, databaseUrl, log, signal, onProgress } = options
  const began = performance.now()
  const source = typeof file === 'string' ? await fileSource(file) : file
  const pool = createPool(databaseUrl, { name: 'rates-import', max: 2, log })
  const lock = new pg.Client({
    ...connectionOptions(databaseUrl),
    application_name: 'rates-import-lock',
    keepAlive: true,
  })
  lock.on('error', (error) => log.warn({ err: error }, 'lost the connection that holds the lock of imports'))
  try {
    await lock.connect()
    await waitForTurn(lock, options)
    const dump = await checkDump(source, await readCatalogue(pool), (bytes, rows) => {
      signal?.throwIfAborted()
      onProgress?.({ step: 'check', bytes, totalBytes: source.size, rows })
    })
    const { batchId, toSend } = await planBatch(pool, dump, options)
    if (toSend) await checkTopics(options) // before anything is written
    signal?.throwIfAborted()
    const alreadyImported = batchId !== null && !toSend
    const counts =
      alreadyImported && options.once
        ? leftAlone(dump)
        : await withTransaction(pool, (client) => upsertCatalogue(client, dump))
    if (toSend) await sendPrices(pool, options, source, dump, batchId)
    return { ...counts, rows: dump.rows, batchId, alreadyImported, seconds: (performance.now() - began) / 1000 }
  } finally {
    await Promise.allSettled([lock.end(), pool.end()])
  }
}

type Plan = { batchId: string; toSend: boolean } | { batchId: null; toSend: false }

async function planBatch(pool: pg.Pool, dump: CheckedDump, { again, once }: ImportOptions): Promise<Plan> {
  if (dump.rows === 0) return { batchId: null, toSend: false }
  const { id, entry } = await chooseBatch(pool, dump.digest, { again: again ?? false, evenReverted: once ?? false })
  return { batchId: id, toSend: entry === null || entry.state === 'open' }
}

const leftAlone = ({ regions, ports }: CheckedDump): { regions: UpsertCounts; ports: UpsertCounts } => ({
  regions: { added: 0, changed: 0, unchanged: regions.length },
  ports: { added: 0, changed: 0, unchanged: ports.length },
})

/** One import at a time: two of the same file would only send everything twice. */
async function waitForTurn(lock: pg.Client, { signal, onProgress }: ImportOptions): Promise<void> {
  for (;;) {
    const { rows } = await lock.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [LOCK])
    if (rows[0]!.taken) return
    onProgress?.({ step: 'queue' })
    await sleep(250, undefined, signal ? { signal } : {})
  }
}

const kafkaSettings = ({ kafka, log }: ImportOptions): KafkaSettings => ({
  brokers: kafka.brokers,
  clientId: 'rates-import',
  log,
  security: kafka.security,
})

async function checkTopics(options: ImportOptions): Promise<void> {
  const admin = await connectAdmin(kafkaSettings(options))
  try {
    const missing = await missingTopics(admin, Object.values(topicNames(options.kafka.prefix)))
    if (missing.length > 0) throw new MissingTopics(missing)
  } finally {
    await admin.close()
  }
}

/** The brokers answer, but do not have the platform's topics. */
export class MissingTopics extends Error {
  constructor(topics: string[]) {
    super(`Kafka does not have the topics ${topics.join(', ')}: create them with rates topics`)
    this.name = 'MissingTopics'
  }
}

async function sendPrices(
  pool: pg.Pool,
  options: ImportOptions,
  source: DumpSource,
  dump: CheckedDump,
  batchId: string,
): Promise<void> {
  const { kafka, onProgress, signal } = options
  const totalRows = dump.rows
  const producer = await connectProducer(kafkaSettings(options))
  try {
    onProgress?.({ step: 'send', rows: 0, totalRows })
    // Neither compression nor a header line: the same content must give the same chunks in every version of this.
    await produceBatch(
      producer,
      topicNames(kafka.prefix),
      pricesAsCsv(source, dump.digest),
      'csv',
      { batchId, source: 'import' },
      { onChunk: ({ rows }) => onProgress?.({ step: 'send', rows, totalRows }), ...(signal ? { signal } : {}) },
    )
  } finally {
    await producer.close()
  }
  const onWait = (rows: number, error?: Error): void =>
    onProgress?.({ step: 'wait', rows, totalRows, ...(error ? { error } : {}) })
  const { state, digest, error } = await awaitOutcome(pool, batchId, onWait, signal)
  if (state === 'succeeded') onWait(totalRows)
  if (state === 'failed' || state === 'cancelled') {
    const why = error ? ` (${error.code}: ${error.message})` : ''
    throw new ImportRefused(
      batchId,
      `the batch ${batchId} was ${state === 'failed' ? 'refused' : state}${why}; nothing of it is visible. ` +
        `rates show ${batchId} tells more. Once the cause is mended, import again with --again.`,
    )
  }
  if (digest !== null && digest !== dump.digest) {
    throw new Error(`batch ${batchId} has the digest ${digest} in the ledger and not the file's ${dump.digest}`)
  }
}
