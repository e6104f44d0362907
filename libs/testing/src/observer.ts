import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type TestBatch } from './batches.ts'
import { type Line } from './line.ts'
import { type Violation } from './violation.ts'

/** A batch that a reader looks out for. */
export interface Watch {
  batch: TestBatch
  /** Once this one was seen, readers see exactly one of the two, always. */
  replaces?: TestBatch
  /** It may be hidden again with nothing in its place: somebody reverts it, or retention removes it. */
  mayVanish?: boolean
}

export interface Observation {
  samples: number
  /** How often a sample had nothing of a batch, and how often all of it; by its id. */
  seen: Map<string, { nothing: number; all: number }>
  violations: Violation[]
}

export interface Observer {
  /** Waits until so many samples more were taken by each reader. */
  sampled(more?: number): Promise<void>
  stop(): Promise<Observation>
}

/** As the API reads: daily counts and sums of the packs that are not hidden. */
const PACKS = `
select to_char(month, 'YYYY-MM') as month, sum(c)::float8 as count, sum(t)::float8 as sum from (
  select month, (select sum(x) from unnest(n) x) as c, (select sum(x) from unnest(s) x) as t
  from price_packs where month = any($1::date[]) and batch_no <> all (array(select batch_no from hidden_batches))
) p group by 1`
/** As people's own SQL reads: the prices themselves. */
const VIEW = `
select to_char(day, 'YYYY-MM') as month, count(*)::float8 as count, sum(price)::float8 as sum
from prices where day between (select min(d) from unnest($1::date[]) d) and (select max(d) from unnest($1::date[]) d) + 31
group by 1`

/**
 * Reads during a load, each sample one statement and so one snapshot, and sees to it that every batch is there as a
 * whole or not at all (I3). Batches of one month are told apart by their counts and sums: ten of them at most.
 * `acrossRestarts`: a connection that breaks is opened again.
 */
export async function observe(
  line: Pick<Line, 'databaseUrl' | 'defer'>,
  watches: readonly Watch[],
  options: { everyMilliseconds?: number; acrossRestarts?: boolean } = {},
): Promise<Observer> {
  const { everyMilliseconds = 2, acrossRestarts = false } = options
  const judge = new Judge(watches)
  let ended = false
  const counts = [0, 0]
  const readOnce = async (reader: 0 | 1, statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: line.databaseUrl, application_name: 'observer' })
    client.on('error', () => undefined) // its query is told as well
    await client.connect()
    try {
      while (!ended) {
        const { rows } = await client.query<MonthTotal>(statement, [judge.months.map((month) => `${month}-01`)])
        judge.take(reader, rows)
        counts[reader]!++
        await sleep(everyMilliseconds * (1 + 4 * reader)) // the view costs more
      }
    } finally {
      await client.end()
    }
  }
  const read = async (reader: 0 | 1, statement: string): Promise<void> => {
    while (!ended) {
      try {
        return await readOnce(reader, statement)
      } catch (error) {
        if (!acrossRestarts) throw error
        await sleep(500)
      }
    }
  }
  const readers = [read(0, PACKS), read(1, VIEW)]
  // A reader that fails is told by stop(): until then nobody waits for it.
  for (const reader of readers) reader.catch(() => undefined)
  const end = async (): Promise<void> => {
    ended = true
    await Promise.all(readers)
  }
  line.defer(() => end().catch(() => undefined))
  const sampled = async (more = 2): Promise<void> => {
    const from = [...counts]
    const failed = Promise.all(readers)
    while (!ended && counts.some((count, i) => count < from[i]! + more)) await Promise.race([sleep(5), failed])
  }
  await sampled(1)
  return {
    sampled,
    async stop() {
      await end()
      return { samples: counts[0]! + counts[1]!, seen: judge.seen, violations: judge.violations }
    },
  }
}

interface MonthTotal {
  month: string
  count: number
  sum: number
}

/** What a sample shows, and whether it may. */
class Judge {
  readonly months: string[]
  readonly seen = new Map<string, { nothing: number; all: number }>()
  readonly violations: Violation[] = []
  private readonly families: { ids: string[]; mayVanish: boolean }[]
  /** Of each month: the batches that make up a count and a sum. */
  private readonly subsets: Map<string, Map<string, ReadonlySet<string>>>
  /** What each of the readers has seen whole before. */
  private readonly before: [Set<string>, Set<string>] = [new Set(), new Set()]
  private readonly told = new Set<string>()

  constructor(watches: readonly Watch[]) {
    this.families = familiesOf(watches)
    const batches = new Set(watches.flatMap(({ batch, replaces }) => (replaces ? [batch, replaces] : [batch])))
    for (const { id } of batches) this.seen.set(id, { nothing: 0, all: 0 })
    const byMonth = Map.groupBy(batches, ({ month }) => month)
    this.months = [...byMonth.keys()]
    this.subsets = new Map([...byMonth].map(([month, together]) => [month, subsetsOf(together)]))
  }

  take(reader: 0 | 1, rows: readonly MonthTotal[]): void {
    const whole = new Set<string>()
    for (const month of this.months) {
      const { count = 0, sum = 0 } = rows.find((row) => row.month === month) ?? {}
      const subset = this.subsets.get(month)!.get(`${count}/${sum}`)
      if (subset) for (const id of subset) whole.add(id)
      else return this.tell(null, `${month} shows ${count} prices that add up to ${sum}: a part of a batch`)
    }
    for (const [id, times] of this.seen) times[whole.has(id) ? 'all' : 'nothing']++
    this.judge(whole, this.before[reader])
    for (const id of whole) this.before[reader].add(id)
  }

  /** Of a batch, what it replaces, and what replaces it, readers see one; and once they saw one, never none. */
  private judge(whole: ReadonlySet<string>, before: ReadonlySet<string>): void {
    for (const { ids, mayVanish } of this.families) {
      const visible = ids.filter((id) => whole.has(id))
      if (visible.length > 1)
        this.tell(visible.at(-1)!, `it and ${visible[0]} are both visible: one replaces the other`)
      if (visible.length > 0 || mayVanish) continue
      const gone = ids.filter((id) => before.has(id))
      const [first] = gone
      if (gone.length > 0 && ids.length > 1) this.tell(first!, `neither it nor what takes its place is visible`)
      else if (first !== undefined) this.tell(first, 'it was visible, and is not any more')
    }
  }

  private tell(batch: string | null, message: string): void {
    if (this.told.has(`${batch}${message}`) || this.violations.length >= 100) return
    this.told.add(`${batch}${message}`)
    this.violations.push({ invariant: 'I3', batch, message })
  }
}

/** Batches that take one another's place. */
function familiesOf(watches: readonly Watch[]): { ids: string[]; mayVanish: boolean }[] {
  const replaced = new Map(watches.map(({ batch, replaces }) => [batch.id, replaces?.id]))
  const first = (id: string): string => {
    const before = replaced.get(id)
    return before === undefined ? id : first(before)
  }
  const ids = new Set(watches.flatMap(({ batch, replaces }) => (replaces ? [replaces.id, batch.id] : [batch.id])))
  return [...Map.groupBy(ids, first).values()].map((family) => ({
    ids: family,
    mayVanish: watches.some(({ batch, mayVanish }) => mayVanish === true && family.includes(batch.id)),
  }))
}

function subsetsOf(batches: readonly TestBatch[]): Map<string, ReadonlySet<string>> {
  if (batches.length > 10) throw new RangeError(`${batches.length} batches in one month cannot be told apart`)
  const subsets = new Map<string, ReadonlySet<string>>()
  for (let bits = 0; bits < 1 << batches.length; bits++) {
    const chosen = batches.filter((_, i) => bits & (1 << i))
    const count = chosen.reduce((all, { lines }) => all + lines.length, 0)
    const sum = chosen.reduce((all, { lines }) => all + sumOf(lines), 0)
    const key = `${count}/${sum}`
    if (subsets.has(key)) throw new RangeError('two sets of these batches have the same count and sum')
    subsets.set(key, new Set(chosen.map(({ id }) => id)))
  }
  return subsets
}

const sumOf = (lines: readonly string[]): number =>
  lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(',') + 1)), 0)
