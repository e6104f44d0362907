import { setTimeout as sleep } from 'node:timers/promises'
import { isTransient } from '@rates/service/transient'
import { type Pool } from 'pg'

/** The states of table batches; `open` is what people see as pending or in_progress. */
export type LedgerState = 'open' | 'succeeded' | 'failed' | 'cancelled' | 'reverted' | 'replaced'

export interface LedgerEntry {
  state: LedgerState
  rows: number | null
  /** 32 hex digits. */
  digest: string | null
  finishedAt: Date | null
  error: { code: string; message: string } | null
}

/** An import that cannot go on or that the platform refused: what happened and what to do. */
export class ImportRefused extends Error {
  readonly batchId: string

  constructor(batchId: string, message: string) {
    super(message)
    this.name = 'ImportRefused'
    this.batchId = batchId
  }
}

export async function findBatch(pool: Pool, id: string): Promise<LedgerEntry | null> {
  const { rows } = await pool.query<LedgerEntry>(
    `select state, rows_accepted::float8 as rows, encode(digest, 'hex') as digest, finished_at as "finishedAt", error
     from batches where id = $1 and not dry_run`,
    [id],
  )
  return rows[0] ?? null
}

/**
 * The batch that a content is or will be: `import-<digest>`. The id of a batch that failed, was cancelled or reverted is
 * used up; then the next is `import-<digest>-2`, and so on. It is taken without asking after a batch that was
 * incomplete, for its import was broken off and nothing else is wrong with it; after others where `again` is set.
 * @param evenReverted take a batch that was reverted for one that is there
 * @throws ImportRefused where the id is used up and `again` is not set
 */
export async function chooseBatch(
  pool: Pool,
  digest: string,
  { again, evenReverted }: { again: boolean; evenReverted: boolean },
): Promise<{ id: string; entry: LedgerEntry | null }> {
  for (let attempt = 1; ; attempt++) {
    const id = `import-${digest}${attempt === 1 ? '' : `-${attempt}`}`
    const entry = await findBatch(pool, id)
    if (!entry || !isUsedUp(entry) || (evenReverted && entry.state === 'reverted')) return { id, entry }
    if (!again && entry.error?.code !== 'incomplete') throw new ImportRefused(id, usedUpMessage(id, entry))
  }
}

const isUsedUp = ({ state }: LedgerEntry): boolean => ['failed', 'cancelled', 'reverted'].includes(state)

function usedUpMessage(id: string, { state, finishedAt, error }: LedgerEntry): string {
  const when = finishedAt ? ` at ${finishedAt.toISOString()}` : ''
  const why = error ? ` (${error.code}: ${error.message})` : ''
  const what = state === 'reverted' ? 'was imported and then reverted' : `${state}${when}${why}`
  return (
    `these prices were sent before as batch ${id}, which ${what}. Nothing of it is visible, and its id is used up. ` +
    `To send them as a new batch, import again with --again.`
  )
}

/** Rows of a batch that are stored so far. */
async function storedRows(pool: Pool, id: string): Promise<number> {
  const { rows } = await pool.query<{ stored: number }>(
    `select coalesce(sum(c.rows), 0)::float8 as stored
     from batches b join batch_chunks c on c.batch_no = b.no where b.id = $1 and not b.dry_run`,
    [id],
  )
  return rows[0]!.stored
}

const POLL_MILLISECONDS = 250

/**
 * Waits for a batch's outcome in the ledger, through outages of PostgreSQL.
 * @param onWait called with the rows stored so far; `error` tells that PostgreSQL does not answer at present
 * @throws the signal's reason; other errors than passing ones
 */
export async function awaitOutcome(
  pool: Pool,
  id: string,
  onWait: (stored: number, error?: Error) => void,
  signal?: AbortSignal,
): Promise<LedgerEntry> {
  let stored = 0
  for (;;) {
    signal?.throwIfAborted()
    try {
      const entry = await findBatch(pool, id)
      if (entry && entry.state !== 'open') return entry
      if (entry) stored = await storedRows(pool, id)
      onWait(stored)
    } catch (error) {
      if (!isTransient(error)) throw error
      onWait(stored, error as Error)
    }
    await sleep(POLL_MILLISECONDS, undefined, signal ? { signal } : {})
  }
}
