-- The indexes of 0005, in a transaction of their own: while they are built, 6 to 10 s for a million batches, batches are
-- read and chunks stored as before, and only batches that open or end wait.

-- Rather fail, and be run again, than have everybody wait behind us while we wait for a long transaction.
set local lock_timeout = '10s';

create index batches_retry_of on batches (retry_of, no) where retry_of is not null;

-- For whoever follows batches: those that were reverted or replaced a moment ago, however old they are.
create index batches_hidden_at on batches (hidden_at) where hidden_at is not null;

-- Without its list of pending entries: whoever makes it full would wait 0.1 s until it is empty again.
create index batches_words on batches using gin (batch_words(id, source, error)) with (fastupdate = off);
