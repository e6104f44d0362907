-- Files of an object store that are to become batches.

set local lock_timeout = '10s';

-- An object as it was when it was asked for. Its batch is opened in the same transaction; a loader takes a row by a
-- lease, streams the object and produces its chunks. A repetition starts over: chunks that are stored are no-ops.
create table object_loads (
  no bigint generated always as identity primary key,
  batch_no bigint not null unique references batches on delete cascade,
  bucket text not null,
  object_key text not null,
  version_id text,                              -- of a bucket that keeps versions
  etag text,                                    -- pins the object; null until it was looked at, where the claim had none
  size bigint,                                  -- bytes
  sha256 bytea check (octet_length(sha256) = 32), -- of the object's bytes, where the claim tells it
  content_type text,                            -- as told by the claim; null: by the object, else its key's ending
  content_encoding text,
  headers jsonb not null,                       -- of the batch, as on its chunks
  state text not null default 'waiting' check (state in ('waiting', 'loading', 'sent', 'ended')),
  chunks_sent int not null default 0,           -- acknowledged by Kafka
  rows_sent bigint not null default 0,
  bytes_read bigint not null default 0,
  attempts int not null default 0,              -- loaders that took it and did not come back
  next_at timestamptz not null default clock_timestamp(),
  refused_since timestamptz,                    -- the store refuses our credentials
  leased_by text,
  leased_until timestamptz,
  note text,                                    -- why it waits
  quarantined boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  ended_at timestamptz,
  tag_at timestamptz,                           -- when its outcome is to be tagged on the object; null: done, or not due
  tag_attempts int not null default 0
);
create index object_loads_due on object_loads (next_at) where state in ('waiting', 'loading');
create index object_loads_sent on object_loads (no) where state = 'sent';
create index object_loads_tag on object_loads (tag_at) where tag_at is not null;
create index object_loads_object on object_loads (bucket, object_key);
