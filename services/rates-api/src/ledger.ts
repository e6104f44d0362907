import { type Batch } from '@rates/core/batch'
import { connectionOptions } from '@rates/service/database-address'
import { DataSource, type SelectQueryBuilder } from 'typeorm'
import { BatchRow } from './batch.entity.ts'
import { conditionOf, wordConditions, type Condition, type ListFilter } from './batch-filter.ts'
import { viewBatch, type Links, type Progress } from './batch-view.ts'

/** Sums over the chunks of the batch `b`: a batch's row is not written while it loads. */
const PROGRESS = `(select jsonb_build_object(
  'chunks', count(*), 'expected', max(c.total), 'rows', coalesce(sum(c.rows), 0),
  'rejected', coalesce(sum(c.rejected), 0), 'bytes', coalesce(sum(c.bytes), 0),
  'peakMemory', max(c.peak_memory), 'attempts', coalesce(max(c.attempt), 0),
  'workers', coalesce(jsonb_agg(distinct c.worker), '[]'),
  'lastWorker', (array_agg(c.worker order by c.stored_at desc))[1],
  'sentAt', round(extract(epoch from min(c.record_time)) * 1000),
  'takenAt', round(extract(epoch from min(c.taken_at)) * 1000),
  'storedAt', round(extract(epoch from max(c.stored_at)) * 1000),
  'share', sum(c.progress::numeric / (c.chunk + 1)),
  'halfStoredAt', round(extract(epoch from (array_agg(c.stored_at order by c.stored_at))[count(*)::int / 2]) * 1000),
  'chunkMs', round(extract(epoch from avg(c.stored_at - c.taken_at)) * 1000),
  'uploaded', (select u.rows from uploads u where u.batch_no = b.no))
from batch_chunks c where c.batch_no = b.no)`

const NOW = 'round(extract(epoch from clock_timestamp()) * 1000)'

export interface Page {
  batches: Batch[]
  /** Null on the last page. */
  nextCursor: bigint | null
}

/** Reads the ledger: each answer is one statement, hence one snapshot. */
export class Ledger {
  readonly #source: DataSource
  readonly #links: Links
  #connecting: Promise<DataSource> | undefined

  constructor(source: DataSource, links: Links) {
    this.#source = source
    this.#links = links
  }

  async find(id: string, dryRun: boolean): Promise<Batch | undefined> {
    const query = (await this.#select()).where('b.id = :id and b.dryRun = :dryRun', { id, dryRun })
    return (await this.#read(query))[0]?.batch
  }

  /** The newest first. */
  async list(filter: ListFilter): Promise<Page> {
    const { words, limit } = filter
    if (words === undefined) return this.#page(conditionOf(filter), limit)
    const [newest, all] = wordConditions(words, filter)
    const page = await this.#page(newest, limit)
    return page.nextCursor === null ? this.#page(all, limit) : page
  }

  /** Those that are still there, in the order of their numbers. */
  async byNumbers(numbers: readonly bigint[]): Promise<{ no: bigint; batch: Batch }[]> {
    if (numbers.length === 0) return []
    const query = (await this.#select()).where('b.no = any(:numbers)', { numbers: numbers.map(String) })
    return this.#read(query.orderBy('b.no'))
  }

  async close(): Promise<void> {
    if (this.#source.isInitialized) await this.#source.destroy()
  }

  async #page({ sql, parameters }: Condition, limit: number): Promise<Page> {
    const query = (await this.#select()).where(sql, parameters).orderBy('b.no', 'DESC')
    const found = await this.#read(query.limit(limit + 1))
    const page = found.slice(0, limit)
    return { batches: page.map(({ batch }) => batch), nextCursor: found.length > limit ? page.at(-1)!.no : null }
  }

  async #select(): Promise<SelectQueryBuilder<BatchRow>> {
    // Connects when it is first asked, so that the service starts without its database, too.
    this.#connecting ??= this.#source.initialize().catch((error: unknown) => {
      this.#connecting = undefined
      throw error
    })
    const source = await this.#connecting
    return source.createQueryBuilder(BatchRow, 'b').addSelect(PROGRESS, 'progress').addSelect(NOW, 'now')
  }

  async #read(query: SelectQueryBuilder<BatchRow>): Promise<{ no: bigint; batch: Batch }[]> {
    const { entities, raw } = await query.getRawAndEntities<{ progress: Progress; now: string }>()
    return entities.map((row, i) => {
      const { progress, now } = raw[i]!
      return { no: row.no, batch: viewBatch(row, progress, Number(now), this.#links) }
    })
  }
}

/** A connection pool of the ledger's own, so that a slow list does not hold up the reading of rates. */
export function ledgerSource(address: string, max: number): DataSource {
  return new DataSource({
    type: 'postgres',
    entities: [BatchRow],
    applicationName: 'rates-api-ledger',
    installExtensions: false,
    connectTimeoutMS: 5000,
    extra: { ...connectionOptions(address), max, keepAlive: true, statement_timeout: 30_000, query_timeout: 35_000 },
    poolErrorHandler: () => undefined, // an idle connection was lost: the next query opens another
  })
}
