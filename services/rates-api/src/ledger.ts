import { type Batch } from '@rates/core/batch'
import { connectionOptions } from '@rates/service/database-address'
import { DataSource, type SelectQueryBuilder } from 'typeorm'
import { BatchRow } from './batch.entity.ts'
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
  'estimated', (array_agg((c.chunk + 1) / c.progress order by c.chunk desc) filter (where c.progress is not null))[1],
  'halfStoredAt', round(extract(epoch from (array_agg(c.stored_at order by c.stored_at))[count(*)::int / 2]) * 1000),
  'chunkMs', round(extract(epoch from avg(c.stored_at - c.taken_at)) * 1000),
  'uploaded', (select u.rows from uploads u where u.batch_no = b.no))
from batch_chunks c where c.batch_no = b.no)`

const NOW = 'round(extract(epoch from clock_timestamp()) * 1000)'

export type ListedState = Batch['state']

export interface ListFilter {
  state?: readonly ListedState[] | undefined
  source?: string | undefined
  dryRun?: boolean | undefined
  /** Opened at this time or later, and before that one. */
  since?: Date | undefined
  until?: Date | undefined
  /** The page after the one that gave this. */
  cursor?: bigint | undefined
  limit: number
}

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
    const query = (await this.#select()).orderBy('b.no', 'DESC').limit(filter.limit + 1)
    const { state, source, dryRun, since, until, cursor } = filter
    if (state !== undefined) query.andWhere(`(${state.map(stateCondition).join(' or ')})`)
    if (source !== undefined) query.andWhere('b.source = :source', { source })
    if (dryRun !== undefined) query.andWhere('b.dryRun = :dryRun', { dryRun })
    if (since !== undefined) query.andWhere('b.createdAt >= :since', { since })
    if (until !== undefined) query.andWhere('b.createdAt < :until', { until })
    if (cursor !== undefined) query.andWhere('b.no < :cursor', { cursor: String(cursor) })
    const found = await this.#read(query)
    const page = found.slice(0, filter.limit)
    return {
      batches: page.map(({ batch }) => batch),
      nextCursor: found.length > filter.limit ? page.at(-1)!.no : null,
    }
  }

  async close(): Promise<void> {
    if (this.#source.isInitialized) await this.#source.destroy()
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

const HAS_CHUNKS = 'exists (select from batch_chunks c where c.batch_no = b.no)'

function stateCondition(state: ListedState): string {
  if (state === 'pending') return `(b.state = 'open' and not ${HAS_CHUNKS})`
  if (state === 'in_progress') return `(b.state = 'open' and ${HAS_CHUNKS})`
  return `b.state = '${state}'` // one of a closed union, not a caller's text
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
