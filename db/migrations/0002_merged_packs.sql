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
create index price_packs_merged on price_packs using gin (batches) where batches is not null;
alter index price_packs_batch set (autosummarize = on);

-- How far merging has come: the packs of batches up to this number were looked at.
create table compaction (
  single boolean primary key default true check (single),
  up_to bigint not null
);
insert into compaction (up_to) values (0);
