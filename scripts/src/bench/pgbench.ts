import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { exists } from '@rates/local/cache'
import { FIRST_YEAR } from './rows.ts'
import { type Site } from './site.ts'

const run = promisify(execFile)
const FIRST_DAY = `${FIRST_YEAR}-01-01`

/** pgbench from the PATH or of Debian's packages; undefined where there is none. */
export async function findPgbench(): Promise<string | undefined> {
  const debian = '/usr/lib/postgresql'
  const versions = await readdir(debian).catch(() => [])
  for (const program of ['pgbench', ...versions.map((version) => path.join(debian, version, 'bin', 'pgbench'))]) {
    const found = path.isAbsolute(program)
      ? await exists(program)
      : await run(program, ['--version']).catch(() => false)
    if (found) return program
  }
  return undefined
}

/**
 * The last months of the history once more, as a row for each price with small ids: in the order of its index, which
 * has the price too, so that reads never touch the table. @returns its rows
 */
export async function makeRowPerPrice(site: Site, months: number): Promise<number> {
  await site.db.query('drop schema if exists peer cascade; create schema peer')
  await site.db.query(
    'create table peer.prices (orig int not null, dest int not null, day date not null, price int not null)',
  )
  const { rowCount } = await site.db.query(
    `insert into peer.prices
     select p.orig, p.dest, p.month + day.d::int, price.price
     from (select * from price_packs
       where month >= $1::date - make_interval(months => $2) and month < $1::date order by orig, dest, month) p
     cross join lateral (
       select u.d, u.n, sum(u.n) over (order by u.i) - u.n as before
       from unnest(p.days, p.n) with ordinality as u(d, n, i)) day
     cross join lateral unnest(p.prices[day.before + 1 : day.before + day.n]) as price(price)`,
    [FIRST_DAY, months],
  )
  await site.db.query('create index on peer.prices (orig, dest, day) include (price)')
  await site.db.query('vacuum analyze peer.prices')
  return rowCount!
}

const anyPair = (ports: number): string => `\\set o random(1, ${ports})
\\set s random(1, ${ports - 1})
\\set d 1 + (:o - 1 + :s) % ${ports}
`

export interface Scripts {
  /** What GET /rates of a month of one pair asks, on a row for each price; without the days that have none. */
  rowPerPrice: string
  /** The API's statement, whose few packs are then added up by nobody. */
  packs: string
}

/** @param months of the row-per-price table, and of the history */
export const scripts = (ports: number, months: number, historyMonths: number): Scripts => ({
  rowPerPrice: `${anyPair(ports)}\\set f random(31, ${Math.max(31, months * 30)})
select day, count(*), case when count(*) >= 3 then round(avg(price)) end from peer.prices
where orig = :o and dest = :d and day between date '${FIRST_DAY}' - :f::int and date '${FIRST_DAY}' - :f::int + 30
group by day order by day desc;
`,
  packs: `${anyPair(ports)}\\set m random(1, ${historyMonths})
select c.version, p.month - date '1970-01-01', p.days, p.n, p.s
from catalog c
left join price_packs p on p.orig = :o::int and p.dest = :d::int
  and p.month between (date '${FIRST_DAY}' - make_interval(months => :m::int))::date
    and (date '${FIRST_DAY}' - make_interval(months => :m::int))::date
  and p.batch_no <> all (array(select batch_no from hidden_batches));
`,
})

/** @returns transactions a second */
export async function runPgbench(
  program: string,
  site: Site,
  script: string,
  options: { dir: string; connections: number; seconds: number },
): Promise<number> {
  const { dir, connections, seconds } = options
  const file = path.join(dir, 'pgbench.sql')
  await writeFile(file, script)
  const threads = String(Math.min(2, connections))
  const flags = ['-n', '-M', 'prepared', '-c', String(connections), '-j', threads, '-T', String(Math.ceil(seconds))]
  const { stdout } = await run(program, [...flags, '-f', file, site.url])
  const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  if (!(tps > 0) || !/number of failed transactions: 0 /.test(stdout)) throw new Error(`pgbench said:\n${stdout}`)
  return tps
}
