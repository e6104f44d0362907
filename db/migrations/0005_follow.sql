-- Following batches: search, batches that were run again, webhooks.

-- The batch whose records this one has again, under an id of its own.
alter table batches add column retry_of text check (retry_of ~ '^[A-Za-z0-9._:-]{1,128}$');
create index batches_retry_of on batches (retry_of, no) where retry_of is not null;

-- The words that a batch is found by: of its id, its source and its error. A word is what stands between spaces and
-- ASCII punctuation, so that 2026 finds acme-2026-11-21; to_tsvector's parser would make numbers and hosts of them.
create function batch_words(id text, source text, error jsonb) returns tsvector
language sql immutable parallel safe as $$
  select array_to_tsvector(array(
    select distinct word
    from regexp_split_to_table(
      lower(concat_ws(' ', id, source, error ->> 'code', error ->> 'message', (error -> 'rules')::text)),
      '[\s!-/:-@[-`{-~]+'
    ) as words(word)
    where word <> '' and octet_length(word) <= 2000))
$$;
create index batches_words on batches using gin (batch_words(id, source, error));

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
