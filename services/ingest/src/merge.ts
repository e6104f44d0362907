import { mergePacks } from '@rates/core/merge-packs'
import { FULL_PRICES, MERGED_PRICES, planMerges } from '@rates/core/merge-plan'
import { PackWriter } from '@rates/core/pack-writer'
import { type StoredPacks } from '@rates/core/stored-packs'
import { failpoint } from '@rates/service/failpoints'
import { insertPacks, removePacks } from '@rates/service/ledger/copy-packs'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'

/** A pair and month. */
export interface PairMonth {
  orig: number
  dest: number
  /** `2026-11-01`. */
  month: string
}

export interface MergeSettings {
  /** Packs of a batch are left alone until this long after it ended. */
  afterSeconds: number
  /** Until then a batch may be reverted, which a large one must not pay for: its packs are merged among themselves. */
  revertWindowDays: number
}

export interface Merged {
  /** How many packs went, how many came instead, and how many prices moved. */
  removed: number
  written: number
  prices: number
  /** Pair-months, from the first on, of which nothing is left to be merged now. */
  done: number
}

/** A batch of more rows than a chunk may have is large: reverting it would take many others' packs apart. */
export const LARGE_ROWS = 32_767

/** What one transaction may take on: it lasts some tenths of a second, and its packs some megabytes of memory. */
const STEP_PACKS = 3_000
const STEP_PRICES = 250_000

interface Candidate {
  i: number
  ctid: string
  batchNo: number
  own: boolean
  size: number
  /** 0: may be merged with every other; a large batch's number: only with its own. */
  together: number
}

/**
 * The packs of the pair-months that may be merged, pair-month by pair-month. Merged packs hold visible batches alone.
 * The sub-selects look each pack's batch up by its key: joined, a planner may read the whole ledger.
 */
const CANDIDATES = `
select g.i::int, p.ctid::text as ctid, p.batch_no::float8 as "batchNo", p.own, p.size::int, p.together::float8
from unnest($1::int[], $2::int[], $3::date[]) with ordinality g(orig, dest, month, i)
cross join lateral (
  select ctid, batch_no, batches is null as own, (select sum(u) from unnest(n) u) as size,
    case when batches is not null then 0 else (
      select case when rows_accepted > ${LARGE_ROWS}
        and finished_at > clock_timestamp() - make_interval(secs => $5) then no else 0 end
      from batches b where b.no = batch_no and b.state = 'succeeded' and not b.dry_run
        and b.finished_at < clock_timestamp() - make_interval(secs => $4)) end as together
  from price_packs where orig = g.orig and dest = g.dest and month = g.month
  offset 0 -- so that the sizes are added up once
) p
where p.together is not null and p.size < ${FULL_PRICES}
limit ${STEP_PACKS}`

/** Nobody waits for a merge, and a merge waits for nobody: what others hold is left for another time. */
const HOLD_BATCHES = `
select no::float8 as no from batches where no = any($1) and state = 'succeeded' order by no for share skip locked`
const HOLD_PACKS = `
select ctid::text as ctid, batch_no::float8 as "batchNo", batches is null as own from price_packs
where ctid = any($1::tid[]) for update skip locked`

/**
 * Merges small packs of crowded pair-months, as many as one bounded transaction takes on. A reader's statement sees the
 * packs before or those after, which add up to the same; publication and chunks never wait for it.
 *
 * A merged pack is seen or hidden as a whole, so a batch must not be hidden while it is being merged: its row is held
 * `for share`, and whoever hides a batch holds it `for update` and takes it out of merged packs first (take-out.ts).
 * @throws BrokenPack if a pack cannot be read; nothing changed then
 */
export async function mergeStep(pool: pg.Pool, months: readonly PairMonth[], settings: MergeSettings): Promise<Merged> {
  failpoint('before-merge')
  const merged = await withTransaction(pool, (client) => mergeIn(client, months, settings))
  if (merged.removed > 0) failpoint('after-merge')
  return merged
}

async function mergeIn(
  client: pg.ClientBase,
  months: readonly PairMonth[],
  { afterSeconds, revertWindowDays }: MergeSettings,
): Promise<Merged> {
  const { rows } = await client.query<Candidate>({
    name: 'merge-candidates',
    text: CANDIDATES,
    values: [
      months.map(({ orig }) => orig),
      months.map(({ dest }) => dest),
      months.map(({ month }) => month),
      afterSeconds,
      revertWindowDays * 86_400,
    ],
  })
  const { chosen, done } = choose(rows, months.length)
  const held = await hold(client, chosen)
  if (held.length === 0) return { removed: 0, written: 0, prices: 0, done }
  const packs = await removePacks(
    client,
    held.map(({ ctid }) => ctid),
  )
  const alone = new Set(held.map(({ together }) => together).filter((together) => together > 0))
  const merged = mergeTogether(packs, alone)
  await insertPacks(client, merged)
  failpoint('inside-merge')
  return { removed: packs.length, written: merged.packs, prices: merged.prices, done }
}

/** The packs that are worth merging, as far as a step goes. */
function choose(candidates: Candidate[], months: number): { chosen: Candidate[]; done: number } {
  const chosen: Candidate[] = []
  let prices = 0
  const last = candidates.length === STEP_PACKS ? candidates.at(-1)!.i : months + 1
  for (const [i, group] of Map.groupBy(candidates, ({ i }) => i)) {
    for (const packs of Map.groupBy(group, ({ together }) => together).values()) {
      packs.sort((a, b) => a.size - b.size)
      let from = 0
      for (const count of planMerges(packs.map(({ size }) => size))) {
        if (prices > STEP_PRICES) return { chosen, done: i - 1 }
        const some = packs.slice(from, (from += count))
        for (const pack of some) prices += pack.size
        chosen.push(...some)
      }
    }
    // The rest of this one's packs did not fit into the answer.
    if (i === last) return { chosen, done: i - 1 }
  }
  return { chosen, done: months }
}

/** Holds the batches and their packs until the end of the transaction, as far as nobody else does. */
async function hold(client: pg.ClientBase, chosen: readonly Candidate[]): Promise<Candidate[]> {
  if (chosen.length === 0) return []
  const numbers = [...new Set(chosen.filter(({ own }) => own).map(({ batchNo }) => batchNo))]
  const batches = await client.query<{ no: number }>({ name: 'hold-to-merge', text: HOLD_BATCHES, values: [numbers] })
  const visible = new Set(batches.rows.map(({ no }) => no))
  const wanted = new Map(
    chosen.filter((pack) => !pack.own || visible.has(pack.batchNo)).map((pack) => [pack.ctid, pack]),
  )
  const packs = await client.query<Pick<Candidate, 'ctid' | 'batchNo' | 'own'>>({
    name: 'hold-packs-to-merge',
    text: HOLD_PACKS,
    values: [[...wanted.keys()]],
  })
  // Since the candidates were read a place may have got another pack.
  return packs.rows.flatMap(({ ctid, batchNo, own }) => {
    const pack = wanted.get(ctid)!
    return pack.batchNo === batchNo && pack.own === own ? [pack] : []
  })
}

/** Merges packs by pair and month, a large batch's by themselves, into packs that are not too large. */
function mergeTogether(packs: StoredPacks, alone: ReadonlySet<number>): PackWriter {
  const { orig, dest, month, batchNo, size, merged } = packs
  const groups = new Map<string, number[]>()
  for (let pack = 0; pack < packs.length; pack++) {
    const own = !merged[pack] && alone.has(batchNo[pack]!)
    const key = `${orig[pack]} ${dest[pack]} ${month[pack]} ${own ? batchNo[pack] : ''}`
    const group = groups.get(key)
    if (group) group.push(pack)
    else groups.set(key, [pack])
  }
  const writer = new PackWriter()
  for (const group of groups.values()) {
    let some: number[] = []
    let prices = 0
    for (const pack of group.sort((a, b) => size[a]! - size[b]!)) {
      if (prices + size[pack]! > MERGED_PRICES) {
        mergePacks(packs, some, writer)
        some = []
        prices = 0
      }
      some.push(pack)
      prices += size[pack]!
    }
    mergePacks(packs, some, writer)
  }
  return writer
}
