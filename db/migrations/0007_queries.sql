-- Queries by message: their answers, and what is too large for a record.

set local lock_timeout = '10s';

-- The answer to a query, by the place of the query's record, written before it is sent: a query that comes again after a
-- kill gets the same bytes. Rows go once their partition is committed behind them and nobody can be at them any more.
create table query_answers (
  topic text not null,
  partition int not null,
  record_offset bigint not null,
  record_time timestamptz not null,             -- tells a topic from one that was made again under its name
  reply_topic text not null,
  key bytea,                                    -- the query's
  headers jsonb not null,                       -- {name: text}
  body bytea not null,
  answered_at timestamptz not null default clock_timestamp(),
  primary key (topic, partition, record_offset, record_time)
);

-- What an answer's claim check stands for. `sealed_at` is set in the transaction that writes the answer: what is not
-- sealed is nobody's, and goes.
create table claims (
  id text primary key check (id ~ '^[A-Za-z0-9_-]{32}$'),
  content_type text not null,
  bytes bigint,                                 -- of the content; with the seal
  sha256 bytea check (octet_length(sha256) = 32),
  bucket text,                                  -- of the object that holds it; null: claim_parts do
  created_at timestamptz not null default clock_timestamp(),
  sealed_at timestamptz,
  expires_at timestamptz not null,
  removed_at timestamptz,                       -- its content is gone: the row says so for some days
  check (sealed_at is null or (bytes is not null and sha256 is not null))
);
create index claims_to_remove on claims (expires_at) where removed_at is null;
create index claims_removed on claims (removed_at) where removed_at is not null;
create index claims_objects_to_remove on claims (id) where removed_at is not null and bucket is not null;
create index claims_unsealed on claims (created_at) where sealed_at is null;

create table claim_parts (
  claim_id text not null references claims on delete cascade,
  part int not null check (part >= 0),
  content bytea not null,                       -- a frame of zstd: together they are the content
  primary key (claim_id, part)
);
-- They are compressed already.
alter table claim_parts alter column content set storage external;
