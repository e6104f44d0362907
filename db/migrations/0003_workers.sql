-- What ingest workers say of themselves, for whoever has no Prometheus, and for what outlives a worker.

create table workers (
  name text primary key,
  version text not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,                         -- of a clean stop
  drain_seconds real,                           -- from being told to stop until then
  drain_counted boolean not null default false  -- it stands in the metrics of the worker that leads
);

-- Every few seconds a row; a worker removes its own after five minutes.
create table worker_stages (
  worker text not null references workers on delete cascade,
  at timestamptz not null default clock_timestamp(),
  seconds jsonb not null,                       -- {stage: {busy, idle, blocked: {on: …}}} since its start
  primary key (worker, at)
);
