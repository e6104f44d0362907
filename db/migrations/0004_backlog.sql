-- What waits in Kafka, as the worker that leads saw it last: for whoever asks PostgreSQL and not Kafka.

create table backlog (
  single boolean primary key default true check (single),
  at timestamptz not null,
  records bigint not null,                      -- that no worker has taken to their end
  rows double precision not null,               -- in them, by what the last ones had
  oldest_seconds double precision not null      -- for how long the first of them has lain there
) with (fillfactor = 50);
