-- Files of an object store that are to become batches.

set local lock_timeout = '10s';

-- What asked for an object: a claim on a lane, or a notification of its store. Where the request tells which batch it
-- is, that is opened in the same transaction; else a loader binds the row to its batch, once it has looked at the object.
-- A loader takes a row by a lease, streams the object and produces its chunks. A repetition starts over: chunks that are
-- stored are no-ops. Rows stay as long as their batch: a record that comes again finds its own.
create table object_loads (
  no bigint generated always as identity primary key,
  place text not null unique,                   -- of the record; its batch's id, where the object cannot be looked at
  origin text not null check (origin in ('claim', 'event')),
  requested_at timestamptz not null,            -- the record's time
  batch_no bigint references batches on delete cascade, -- null: not bound yet
  repeats boolean not null default false,       -- asked for a batch that was there already: nothing is loaded for it
  bucket text not null,
  object_key text not null,
  version_id text,                              -- of a bucket that keeps versions
  etag text,                                    -- pins the object; null until it was looked at, where the request had none
  size bigint,                                  -- bytes
  sha256 bytea check (octet_length(sha256) = 32), -- of the object's bytes, where the claim tells it
  content_type text,                            -- as told by the claim; null: by the object, else its key's ending
  content_encoding text,
  headers jsonb not null,                       -- of the batch, as on its chunks; without batchId until it is bound
  state text not null default 'waiting' check (state in ('waiting', 'loading', 'sent', 'ended')),
  chunks_sent int not null default 0,           -- acknowledged by Kafka
  rows_sent bigint not null default 0,
  bytes_read bigint not null default 0,
  attempts int not null default 0,              -- loaders that took it and did not come back
  waits int not null default 0,                 -- times in a row that it was put off
  next_at timestamptz not null default clock_timestamp(),
  refused_since timestamptz,                    -- the store refuses our credentials
  foreign_since timestamptz,                    -- the leader may not load from its bucket; null again where another worker may
  leased_by text,
  leased_until timestamptz,
  note text,                                    -- why it waits
  quarantined boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  sent_at timestamptz,                          -- all chunks are acknowledged: from then on they may be missing
  ended_at timestamptz,
  tag_at timestamptz,                           -- when its outcome is to be tagged on the object; null: done, or not due
  tag_attempts int not null default 0,
  check (batch_no is not null or state in ('waiting', 'loading') or quarantined),
  check (not repeats or state = 'ended')
);
create unique index object_loads_loads on object_loads (batch_no) where not repeats;
create index object_loads_batch on object_loads (batch_no);
create index object_loads_due on object_loads (next_at) where state in ('waiting', 'loading');
create index object_loads_going on object_loads (batch_no) where state <> 'ended';
create index object_loads_foreign on object_loads (foreign_since) where foreign_since is not null and state in ('waiting', 'loading');
create index object_loads_tag on object_loads (tag_at) where tag_at is not null;
create index object_loads_object on object_loads (bucket, object_key);
