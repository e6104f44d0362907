import { type Port } from '@rates/core/port-table'
import pg from 'pg'
import { connectionOptions } from '../database-address.ts'
import { PackReader, READ_COLUMNS } from './pack-reader.ts'
import { PackSums, type PackFault } from './pack-sums.ts'
import { readCopy } from './read-copy.ts'
import { ChunkSum, judgeBatch, type BatchFault, type Verdict, type VerifiedBatch } from './verify-batch.ts'

/**
 * `pack_…`: a pack is wrong in itself (`pack_sum`: s is not the sum of its prices); `merged_pack`: whose its prices are
 * cannot be; `rows`, `digest`: what is stored of a batch is not what was accepted; `ledger`: its outcome is not what its
 * chunks add up to; `not_hidden`: readers see what they must not; `hidden`: they do not see what they must, or a hidden
 * row is left over; `merged_hidden`: merged packs show a hidden batch; `not_purged`, `dry_run_stored`: packs are left
 * over; `orphan_packs`, `orphan_hidden`: packs or hidden rows of no batch; `replacement`: a batch and the one that it
 * replaces are both visible, or neither is.
 */
export type FaultKind = PackFault | BatchFault | 'orphan_packs' | 'orphan_hidden' | 'replacement'

export interface Fault {
  kind: FaultKind
  batchNo: number
  /** Null where the ledger has no batch of that number. */
  batchId: string | null
  message: string
}

export interface Verification {
  /** The batch that was asked for; null for all. */
  batch: (VerifiedBatch & { verdict: Verdict; rowsStored: number; packs: number; mergedPacks: number }) | null
  /** How many batches of which nothing is wrong, by what can be said of them. */
  verdicts: Record<Verdict, number>
  /** Batches, or numbers of no batch, with faults. */
  faulty: number
  packs: number
  rows: number
  seconds: number
  faultCount: number
  /** The first 1 000 of them. */
  faults: Fault[]
}

export interface VerifyOptions {
  /** Rows read so far, and about how many there are. */
  onProgress?: (rows: number, total: number) => void
}

/** There is no batch of that id. */
export class UnknownBatch extends Error {
  override name = 'UnknownBatch'
}

const MAX_FAULTS = 1_000
const PAGE = 1_000

/**
 * Proves that what is stored is what was accepted: digests and row counts are computed again from the packs, every pack
 * is checked in itself, and the ledger against both. It reads one snapshot and changes nothing, so it may run beside
 * loads. All batches take one pass over the packs in the order in which they lie, and memory by the number of batches;
 * one batch is found by its indexes. (A snapshot keeps vacuum from removing what dies meanwhile.)
 * @throws UnknownBatch
 */
export async function verify(
  databaseUrl: string,
  target: { id: string; dryRun: boolean } | 'all',
  options: VerifyOptions = {},
): Promise<Verification> {
  const client = new pg.Client({ ...connectionOptions(databaseUrl), application_name: 'rates-verify', keepAlive: true })
  client.on('error', () => undefined) // whoever waits for an answer is told as well
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    await client.query('set local statement_timeout = 0')
    await client.query('set local idle_in_transaction_session_timeout = 0')
    return await new Verifier(client, options).run(target)
  } finally {
    await client.end()
  }
}

class Verifier {
  private readonly began = performance.now()
  private readonly client: pg.Client
  private readonly options: VerifyOptions
  private readonly verdicts: Record<Verdict, number> = { proven: 0, unproven: 0, hidden: 0, gone: 0, open: 0 }
  private readonly faulty = new Set<number>()
  private readonly faults: Fault[] = []
  private faultCount = 0
  private batch: Verification['batch'] = null

  constructor(client: pg.Client, options: VerifyOptions) {
    this.client = client
    this.options = options
  }

  async run(target: { id: string; dryRun: boolean } | 'all'): Promise<Verification> {
    const only = target === 'all' ? undefined : await this.find(target)
    const sums = await this.sumPacks(only)
    await this.judgeAll(sums, only)
    if (only === undefined) {
      for (const [no, { rows }] of sums.batches) this.fault('orphan_packs', no, `${rows} rows are in packs of no batch`)
      await this.findOrphans()
    }
    await this.checkReplacements(only)
    await this.nameFaults()
    const { batch, verdicts, faulty, faults, faultCount } = this
    const seconds = (performance.now() - this.began) / 1000
    return { batch, verdicts, faulty: faulty.size, packs: sums.packs, rows: sums.rows, seconds, faultCount, faults }
  }

  private fault(kind: FaultKind, batchNo: number, message: string): void {
    this.faultCount++
    this.faulty.add(batchNo)
    if (this.faults.length < MAX_FAULTS) this.faults.push({ kind, batchNo, batchId: null, message })
  }

  private async find({ id, dryRun }: { id: string; dryRun: boolean }): Promise<number> {
    const { rows } = await this.client.query<{ no: number }>(
      'select no::float8 as no from batches where id = $1 and dry_run = $2',
      [id, dryRun],
    )
    if (!rows[0]) throw new UnknownBatch(`There is no ${dryRun ? 'dry run' : 'batch'} ${id}.`)
    return rows[0].no
  }

  private async sumPacks(only: number | undefined): Promise<PackSums> {
    const { client } = this
    const ports = await client.query<Port>('select code, id from ports')
    const sums = new PackSums(ports.rows, (kind, no, message) => this.fault(kind, no, message))
    const { rows } = await client.query<{ rows: number }>(
      `select coalesce(sum(rows_accepted), 0)::float8 as rows from batches
       where state in ('succeeded', 'reverted', 'replaced') and not dry_run and purged_at is null and ($1::bigint is null or no = $1)`,
      [only ?? null],
    )
    const total = rows[0]!.rows
    const reader = new PackReader()
    for await (const piece of readCopy(client, await this.copyOf(only))) {
      reader.push(piece)
      while (reader.next()) sums.add(reader)
      this.options.onProgress?.(sums.rows, total)
    }
    if (only !== undefined) for (const no of [...sums.batches.keys()]) if (no !== only) sums.batches.delete(no)
    return sums
  }

  /** COPY takes no parameters: the number goes by a setting of the transaction. */
  private async copyOf(only: number | undefined): Promise<string> {
    if (only === undefined) return `copy price_packs (${READ_COLUMNS}) to stdout (format binary)`
    await this.client.query(`select set_config('rates.batch_no', $1, true)`, [String(only)])
    const no = `current_setting('rates.batch_no')::bigint`
    return `copy (select ${READ_COLUMNS} from price_packs where batch_no = ${no} and batches is null
      union all select ${READ_COLUMNS} from price_packs where batches @> array[${no}]) to stdout (format binary)`
  }

  /** Walks the ledger, and takes out of the sums what belongs to a batch. */
  private async judgeAll(sums: PackSums, only: number | undefined): Promise<void> {
    let after = only === undefined ? 0 : only - 1
    for (;;) {
      const page = await this.batchesAfter(after, only)
      if (page.length === 0) return
      const chunks = await this.chunksOf(page[0]!.no, page.at(-1)!.no)
      for (const batch of page) {
        const stored = sums.batches.get(batch.no)
        sums.batches.delete(batch.no)
        const chunkSum = chunks.get(batch.no) ?? new ChunkSum()
        const verdict = judgeBatch(batch, stored, chunkSum, (kind, message) => this.fault(kind, batch.no, message))
        if (!this.faulty.has(batch.no)) this.verdicts[verdict]++
        if (only === undefined) continue
        const { rows: rowsStored = 0, packs = 0, merged: mergedPacks = 0 } = stored ?? {}
        this.batch = { ...batch, verdict, rowsStored, packs, mergedPacks }
      }
      after = page.at(-1)!.no
    }
  }

  private async batchesAfter(after: number, only: number | undefined): Promise<VerifiedBatch[]> {
    const { rows } = await this.client.query<VerifiedBatch>({
      name: 'verify-batches',
      text: `select no::float8 as no, id, dry_run as "dryRun", state, chunks_expected as "chunksExpected",
          rows_accepted::float8 as "rowsAccepted", rows_rejected::float8 as "rowsRejected", encode(digest, 'hex') as digest,
          purged_at is not null as purged, trimmed_at is not null as trimmed,
          exists (select from hidden_batches where batch_no = no) as hidden
        from batches b where no > $1 and ($2::bigint is null or no = $2) order by b.no limit ${PAGE}`,
      values: [after, only ?? null],
    })
    return rows
  }

  private async chunksOf(first: number, last: number): Promise<Map<number, ChunkSum>> {
    const sums = new Map<number, ChunkSum>()
    for (let at = { no: first, chunk: -1 }; ;) {
      const { rows } = await this.client.query<{
        no: number
        chunk: number
        accepted: number
        rejected: number
        digest: Buffer
      }>({
        name: 'verify-chunks',
        text: `select batch_no::float8 as no, chunk, rows - rejected as accepted, rejected, digest from batch_chunks
          where (batch_no, chunk) > ($1, $2) and batch_no <= $3 order by batch_no, chunk limit ${PAGE * 5}`,
        values: [at.no, at.chunk, last],
      })
      for (const { no, accepted, rejected, digest } of rows) {
        let sum = sums.get(no)
        if (!sum) sums.set(no, (sum = new ChunkSum()))
        sum.chunks++
        sum.accepted += accepted
        sum.rejected += rejected
        sum.digest.addDigest(digest)
      }
      if (rows.length < PAGE * 5) return sums
      at = rows.at(-1)!
    }
  }

  private async findOrphans(): Promise<void> {
    const { rows } = await this.client.query<{ no: number }>(
      `select batch_no::float8 as no from hidden_batches h where not exists (select from batches b where b.no = h.batch_no)`,
    )
    for (const { no } of rows)
      this.fault('orphan_hidden', no, 'it is among the hidden batches, and there is no such batch')
  }

  /** Of a batch and the one that it replaced, readers see exactly one. */
  private async checkReplacements(only: number | undefined): Promise<void> {
    const { rows } = await this.client.query<{ no: number; state: string; old: string; oldState: string; by: string }>(
      `select n.no::float8 as no, n.state, o.id as old, o.state as "oldState", o.replaced_by as by
       from batches n join batches o on o.id = n.replaces and not o.dry_run
       where not n.dry_run and ($1::bigint is null or $1 in (n.no, o.no)) and
         (n.state in ('succeeded', 'replaced') and (o.state <> 'replaced' or o.replaced_by is distinct from n.id)
          or n.state = 'reverted' and o.state = 'replaced' and o.replaced_by = n.id)`,
      [only ?? null],
    )
    for (const { no, state, old, oldState, by } of rows) {
      const told = oldState === 'replaced' ? `replaced by ${by}` : oldState
      this.fault('replacement', no, `it is ${state} and replaces ${old}, which is ${told}`)
    }
    const lost = await this.client.query<{ no: number; by: string | null }>(
      `select no::float8 as no, replaced_by as by from batches o where state = 'replaced' and purged_at is null
         and ($1::bigint is null or no = $1) and not exists (select from batches n
           where n.id = o.replaced_by and not n.dry_run and n.state in ('succeeded', 'replaced', 'reverted'))`,
      [only ?? null],
    )
    for (const { no, by } of lost.rows) {
      this.fault('replacement', no, `it is replaced by ${by ?? 'nobody'}, and there is no such batch that succeeded`)
    }
  }

  private async nameFaults(): Promise<void> {
    if (this.faults.length === 0) return
    const { rows } = await this.client.query<{ no: number; id: string; dryRun: boolean }>(
      'select no::float8 as no, id, dry_run as "dryRun" from batches where no = any($1)',
      [[...new Set(this.faults.map(({ batchNo }) => batchNo))]],
    )
    const ids = new Map(rows.map(({ no, id, dryRun }) => [no, dryRun ? `${id} (dry run)` : id]))
    for (const fault of this.faults) fault.batchId = ids.get(fault.batchNo) ?? null
  }
}
