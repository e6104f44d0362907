-- The catalogue, the ledger, the packs, the outbox. PostgreSQL 13.5 and later.

-- Catalogue ---------------------------------------------------------------------------------------------------------
-- The original service's tables and columns, and an id for each port, so that packs hold 4 bytes for a port and not a
-- text. Rows are upserted and never deleted, hence packs need no foreign key that is checked row by row.

create table regions (
  slug text primary key,
  name text not null,
  parent_slug text references regions
);

create table ports (
  code text primary key,
  name text not null,
  parent_slug text not null references regions,
  id int not null generated always as identity unique
);

-- Rises in the transaction that changes ports or regions; whoever keeps a copy compares it (there is no time-to-live).
create table catalog (
  single boolean primary key default true check (single),
  version bigint not null
);
insert into catalog (version) values (1);

create function catalog_changed() returns trigger language plpgsql as $$
begin
  if exists (select from changed) then
    update catalog set version = version + 1;
  end if;
  return null;
end $$;

create trigger ports_inserted after insert on ports referencing new table as changed
  for each statement execute function catalog_changed();
create trigger ports_updated after update on ports referencing new table as changed
  for each statement execute function catalog_changed();
create trigger regions_inserted after insert on regions referencing new table as changed
  for each statement execute function catalog_changed();
create trigger regions_updated after update on regions referencing new table as changed
  for each statement execute function catalog_changed();

create function catalog_keeps_its_rows() returns trigger language plpgsql as $$
begin
  raise exception '% are never deleted: prices name them', tg_table_name using errcode = 'restrict_violation';
end $$;

create trigger ports_kept before delete or truncate on ports for each statement execute function catalog_keeps_its_rows();
create trigger regions_kept before delete or truncate on regions for each statement execute function catalog_keeps_its_rows();

-- Deferred, so that a whole tree may arrive in any order within a transaction.
create function regions_have_no_cycle() returns trigger language plpgsql as $$
declare
  ancestor text := new.parent_slug;
  steps int := 0;
begin
  while ancestor is not null loop
    steps := steps + 1;
    if ancestor = new.slug or steps > 1000 then
      raise exception 'region % would be its own ancestor', new.slug using errcode = 'check_violation';
    end if;
    select parent_slug into ancestor from regions where slug = ancestor;
  end loop;
  return null;
end $$;

create constraint trigger regions_acyclic after insert or update of parent_slug on regions
  deferrable initially deferred for each row execute function regions_have_no_cycle();

-- Ledger ------------------------------------------------------------------------------------------------------------
-- A batch's row is written when it opens, when it ends, and when it is reverted, replaced or purged: never by a chunk,
-- for chunks hold it "for share", and two holders of "for share" that update it deadlock.
-- `open` is shown as `pending` (no chunk stored yet) or `in_progress`.

create table batches (
  no bigint generated always as identity primary key,
  id text not null check (id ~ '^[A-Za-z0-9._:-]{1,128}$'),
  dry_run boolean not null default false,
  state text not null check (state in ('open', 'succeeded', 'failed', 'cancelled', 'reverted', 'replaced')),
  topic text,                                   -- the lane its records came by
  source text,
  replaces text,
  replaced_by text,
  deadline timestamptz,
  on_deadline text not null default 'fail' check (on_deadline in ('fail', 'flag')),
  reply_to text,
  correlation_id text,
  traceparent text,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  purged_at timestamptz,
  chunks_expected int,                          -- these five: with the outcome
  rows_accepted bigint,
  rows_rejected bigint,
  digest bytea check (octet_length(digest) = 16),
  error jsonb,                                  -- {code, message, rules: {rule: n}, ...}
  unique (id, dry_run),
  check ((state = 'open') = (finished_at is null)),
  check (purged_at is null or state not in ('open', 'succeeded'))
);
create index batches_open on batches (no) where state = 'open';
create index batches_to_purge on batches (no) where state in ('failed', 'cancelled', 'reverted', 'replaced') and purged_at is null;
create index batches_source on batches (source, no);
create index batches_state on batches (state, no);

create function batches_guard() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state in ('reverted', 'replaced') then
      raise exception 'a batch cannot open as %', new.state using errcode = 'check_violation';
    end if;
    return new;
  end if;
  if (new.no, new.id, new.dry_run) is distinct from (old.no, old.id, old.dry_run) then
    raise exception 'the identity of batch % cannot change', old.id using errcode = 'check_violation';
  end if;
  if new.state <> old.state and not (
       (old.state = 'open' and new.state in ('succeeded', 'failed', 'cancelled'))
    or (not old.dry_run and old.state = 'succeeded' and new.state in ('reverted', 'replaced'))
    or (not old.dry_run and old.state = 'replaced' and new.state = 'succeeded')
  ) then
    raise exception 'batch % cannot go from % to %', old.id, old.state, new.state using errcode = 'check_violation';
  end if;
  if old.purged_at is not null and new.state <> old.state then
    raise exception 'batch % was purged', old.id using errcode = 'check_violation';
  end if;
  return new;
end $$;

create trigger batches_guard before insert or update on batches for each row execute function batches_guard();

create table batch_chunks (
  batch_no bigint not null references batches,
  chunk int not null check (chunk >= 0),
  total int check (total > chunk),              -- the batch's number of chunks, where this chunk's record told it
  rows int not null check (rows >= 0),          -- data rows in the chunk, good and bad
  rejected int not null check (rejected between 0 and rows),
  rules jsonb,                                  -- {rule: n} of the bad rows
  errors bytea,                                 -- every bad row, as zstd-compressed NDJSON
  sha256 bytea not null,                        -- of the body as sent
  digest bytea not null check (octet_length(digest) = 16),
  topic text not null,
  partition int not null,
  record_offset bigint not null,
  record_time timestamptz not null,
  bytes int not null,                           -- of the body as sent
  worker text not null,
  peak_memory bigint not null,                  -- bytes of RSS
  attempt int not null default 1,
  taken_at timestamptz not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (batch_no, chunk)
);
create index batch_chunks_progress on batch_chunks (topic, partition, record_time);

-- The tries of the few records that were in flight when their partition changed hands; written outside the chunk's
-- transaction, so that a record that kills its worker is counted all the same.
create table record_attempts (
  topic text not null,
  partition int not null,
  record_offset bigint not null,
  attempts int not null,
  last_at timestamptz not null default clock_timestamp(),
  primary key (topic, partition, record_offset)
);

create table uploads (
  idempotency_key text primary key check (length(idempotency_key) between 1 and 255),
  batch_no bigint not null unique references batches,
  digest bytea check (octet_length(digest) = 16),  -- of the content; null while the upload goes on
  rows bigint
);

-- Packs -------------------------------------------------------------------------------------------------------------

-- Batches that readers must not see: loading, failed and not purged yet, reverted, replaced. Read by every query, hence
-- kept short (failed ones leave within a minute) and vacuumed often.
create table hidden_batches (batch_no bigint primary key)
  with (autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0);

create table price_packs (                      -- one tuple for each (batch, chunk, pair, month)
  batch_no bigint not null,
  orig int not null,
  dest int not null,
  month date not null,
  days smallint[] not null,                     -- offset of the day in the month, ascending
  n int[] not null,                             -- that day's number of prices
  s bigint[] not null,                          -- that day's sum of prices
  prices int[] not null,                        -- the prices themselves, n[i] of them for days[i]
  batches bigint[]                              -- after a merge: whose each entry of days is; null: all batch_no's
);
create index price_packs_pair on price_packs (orig, dest, month);
create index price_packs_batch on price_packs using brin (batch_no);

create view prices as
select o.code as orig_code, d.code as dest_code, p.month + day.d::int as day, price.price
from price_packs p
join ports o on o.id = p.orig
join ports d on d.id = p.dest
cross join lateral (
  select u.d, u.n, sum(u.n) over (order by u.i) - u.n as before
  from unnest(p.days, p.n) with ordinality as u(d, n, i)
) day
cross join lateral unnest(p.prices[day.before + 1 : day.before + day.n]) as price(price)
where p.batch_no <> all (array(select batch_no from hidden_batches));

comment on view prices is
  'What is published, a row for each price, as in the original service. Read only. '
  'orig_code and dest_code use the index; a filter on day alone does not.';

-- Outbox ------------------------------------------------------------------------------------------------------------

create table outbox (
  no bigint generated always as identity primary key,
  reply_id text not null,                       -- <batch>/<outcome>: what a receiver tells repeated records by
  topic text not null,
  batch_id text not null,
  correlation_id text,
  traceparent text,
  body text not null,                           -- JSON, the same bytes each time it is sent
  created_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  unique (reply_id, topic)
);
create index outbox_unsent on outbox (no) where sent_at is null;

-- One relay and one sweeper at a time. A lease and not an advisory lock: it works through a pooler in transaction mode.
create table leases (
  name text primary key,
  holder text not null,
  until timestamptz not null
);
