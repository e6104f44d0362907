import type pg from 'pg'

/** Batches that are looked at: the newest, so that each look is a few look-ups in indexes. */
const NEWEST = 1_000

/**
 * What must never be, asked of the ledger in one statement each, so that each sees one moment. docs/architecture.md has
 * the invariants; `npm run verify` proves what is stored as a whole.
 */
export const VIOLATIONS: Readonly<Record<string, string>> = {
  // I5: an outcome stands in the outbox since its own transaction.
  outcome_without_reply: `
    select b.id from batches b
    where b.no > (select coalesce(max(no), 0) from batches) - ${NEWEST} and b.state <> 'open'
      and not exists (select from outbox o where o.reply_id = b.id || case when b.dry_run then '/dry-run/' else '/' end ||
        case when b.state in ('reverted', 'replaced') then 'succeeded' else b.state end)
    limit 20`,
  // I3: nobody sees what succeeded, …
  succeeded_but_hidden: `
    select b.id from hidden_batches h join batches b on b.no = h.batch_no where b.state = 'succeeded' limit 20`,
  // … or everybody sees what is loading, or was taken back.
  visible_but_not_succeeded: `
    select b.id from batches b
    where b.state = 'open' and not exists (select from hidden_batches h where h.batch_no = b.no)
    union all
    select b.id from batches b
    where b.state in ('reverted', 'replaced') and b.purged_at is null
      and not exists (select from hidden_batches h where h.batch_no = b.no)
    limit 20`,
  // I2: what was accepted is what the chunks had.
  rows_differ_from_chunks: `
    select b.id from batches b
    where b.no > (select coalesce(max(no), 0) from batches) - ${NEWEST} / 10 and b.state = 'succeeded'
      and b.finished_at > clock_timestamp() - interval '10 minutes'
      and (b.rows_accepted, b.chunks_expected) is distinct from
        (select (coalesce(sum(rows - rejected), 0)::bigint, count(*)::int) from batch_chunks c where c.batch_no = b.no)
    limit 20`,
}

/** @returns ids of batches by the invariant that they break */
export async function findViolations(pool: pg.Pool): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (const [invariant, text] of Object.entries(VIOLATIONS)) {
    const { rows } = await pool.query<{ id: string }>(text)
    if (rows.length > 0)
      found.set(
        invariant,
        rows.map(({ id }) => id),
      )
  }
  return found
}
