-- Following batches: search, batches that were run again, webhooks.

-- Rather fail, and be run again, than have everybody wait behind us while we wait for a long transaction.
set local lock_timeout = '10s';

-- The batch whose records this one has again, under an id of its own.
alter table batches add column retry_of text check (retry_of ~ '^[A-Za-z0-9._:-]{1,128}$');

-- The words that a batch is found by: of its id, its source and its error. A word is what stands between ASCII's spaces,
-- control characters and punctuation (as in libs/rates/src/words.ts), so that 2026 finds acme-2026-11-21; to_tsvector's
-- parser would make numbers and hosts of them. No word of 500 characters is too long for a tsvector.
create function batch_words(id text, source text, error jsonb) returns tsvector
language sql immutable parallel safe as $$
  select array_to_tsvector(array_remove(regexp_split_to_array(
    lower(concat_ws(' ', id, left(source, 500), error ->> 'code', left(error ->> 'message', 500), error -> 'rules')),
    '[\u0001-/:-@[-`{-\u007f]+'), ''))
$$;

-- What a receiver outside is to be told: batches that failed, written in the transaction of the outcome, as the outbox is.
create table webhooks (
  no bigint generated always as identity primary key,
  webhook_id text not null unique,              -- of the reply's id: what a receiver tells repetitions by
  batch_no bigint not null references batches on delete cascade,
  body text not null,                           -- JSON, the same bytes each time it is sent
  created_at timestamptz not null default clock_timestamp(),
  attempts int not null default 0,
  next_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,                         -- it was taken, or given up: then it has an error
  error text                                    -- why the last attempt failed
);
create index webhooks_due on webhooks (next_at) where ended_at is null;
create index webhooks_ended on webhooks (ended_at) where ended_at is not null;
create index webhooks_batch on webhooks (batch_no);
