-- Reverting, merging of small packs, retention.

-- When a batch was reverted or replaced; a replaced one comes back if its replacement is reverted.
alter table batches add column hidden_at timestamptz;
-- Since when the batch's older prices are gone by the retention of prices: what is stored has its digest no longer.
alter table batches add column trimmed_at timestamptz;

-- A merged pack still has one entry for each day in days, n and s, so that readers need not know. Its prices lie day by
-- day, and within a day batch by batch: batches and batch_n tell, in that order, whose and how many they are. batch_no
-- is the highest of batches. It holds entries of visible batches only: whoever hides a batch takes it out first.
alter table price_packs add column batch_n int[];
alter table price_packs add check ((batches is null) = (batch_n is null));
-- Large arrays are stored as they are: compressing prices gains next to nothing, and compressing the others took more
-- than a second for a million prices, most of the time of merging.
alter table price_packs alter column prices set storage external, alter column batches set storage external,
  alter column batch_n set storage external;
create index price_packs_merged on price_packs using gin (batches) where batches is not null;
alter index price_packs_batch set (autosummarize = on);

-- A batch that the ledger forgets takes its replies along.
create index outbox_batch on outbox (batch_id);

-- What the transitions of 0001 leave open: a batch is replaced only by one that names it and has succeeded, and comes
-- back only once that one was reverted, both in the same transaction. hidden_at goes with the state.
update batches b set hidden_at = r.finished_at from batches r
where b.state = 'replaced' and r.id = b.replaced_by and not r.dry_run;

create function batches_hidden() returns trigger language plpgsql as $$
declare
  other batches;
begin
  if old.state = new.state then
    raise exception 'what replaced batch % changes only with its state', new.id using errcode = 'check_violation';
  end if;
  select * into other from batches where id = coalesce(new.replaced_by, old.replaced_by) and not dry_run;
  if new.state = 'replaced' then
    if (other.replaces = new.id and other.state = 'succeeded') is not true then
      raise exception 'batch % is replaced only by one that names it and has succeeded', new.id using errcode = 'check_violation';
    end if;
  elsif old.state = 'replaced' then
    if other.state is distinct from 'reverted' then
      raise exception 'batch % comes back only when % is reverted', new.id, old.replaced_by using errcode = 'check_violation';
    end if;
    new.replaced_by := null;
  end if;
  new.hidden_at := case when new.state in ('reverted', 'replaced') then clock_timestamp() end;
  return new;
end $$;

-- Its name is behind batches_guard, and so is its turn.
create trigger batches_hidden before update on batches for each row
  when (old.replaced_by is distinct from new.replaced_by
    or (old.state <> new.state and (old.state = 'replaced' or new.state in ('reverted', 'replaced'))))
  execute function batches_hidden();

-- How much of the batch its sender had sent with the chunk, where it cannot tell the total yet.
alter table batch_chunks add column progress real check (progress > 0 and progress <= 1);
