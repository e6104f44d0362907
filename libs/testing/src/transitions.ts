import type pg from 'pg'

/** A change of a batch's state as it was committed; `from` is null where the batch was opened. */
export interface Transition {
  no: number
  id: string
  dryRun: boolean
  from: string | null
  to: string
}

/**
 * From here on every change of a batch's state is written down, by a trigger, in a schema of the test's own, whichever
 * role makes it.
 */
export async function recordTransitions(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create schema if not exists test_audit;
    create table if not exists test_audit.transitions (
      seq bigint generated always as identity, no bigint, id text, dry_run boolean, old text, new text
    );
    create or replace function test_audit.record() returns trigger language plpgsql security definer as $$
    begin
      insert into test_audit.transitions (no, id, dry_run, old, new)
      values (new.no, new.id, new.dry_run, case tg_op when 'UPDATE' then old.state end, new.state);
      return null;
    end $$;
    drop trigger if exists test_audit_inserted on batches;
    create trigger test_audit_inserted after insert on batches
      for each row execute function test_audit.record();
    drop trigger if exists test_audit_updated on batches;
    create trigger test_audit_updated after update of state on batches
      for each row when (old.state is distinct from new.state) execute function test_audit.record();
    alter table batches enable always trigger test_audit_updated`)
}

/** All that were written down, in the order in which they were made. */
export async function transitions(pool: pg.Pool): Promise<Transition[]> {
  const { rows } = await pool.query<Transition>(
    `select no::float8 as no, id, dry_run as "dryRun", old as "from", new as "to" from test_audit.transitions order by seq`,
  )
  return rows
}

const outcomes = ['succeeded', 'failed', 'cancelled']
/** The diagram of docs/architecture.md. */
const legal: Record<string, readonly string[]> = {
  opened: ['open', ...outcomes],
  open: outcomes,
  succeeded: ['reverted', 'replaced'],
  replaced: ['succeeded'],
}

/** What breaks the diagram, and outcomes that were given twice; the outcome of each batch by its number. */
export function judgeTransitions(all: readonly Transition[]): {
  faults: { id: string; message: string }[]
  outcomes: Map<number, string>
} {
  const given = new Map<number, string>()
  const states = new Map<number, string>()
  const faults: { id: string; message: string }[] = []
  for (const { no, id, from, to } of all) {
    const before = states.get(no) ?? null
    if (from !== before) faults.push({ id, message: `goes from ${from} to ${to}, and was ${before ?? 'not there'}` })
    if (!legal[from ?? 'opened']?.includes(to)) faults.push({ id, message: `goes from ${from ?? 'nothing'} to ${to}` })
    states.set(no, to)
    if (!outcomes.includes(to) || from === 'replaced') continue
    if (given.has(no)) faults.push({ id, message: `has the outcome ${to}, and had ${given.get(no)} before` })
    else given.set(no, to)
  }
  return { faults, outcomes: given }
}
