import { connectionOptions } from '@rates/service/database-address'
import pg from 'pg'
import { folders, short } from './home.ts'
import { objectStoreRows } from './object-store.ts'
import { verdictUrl } from './prometheus.ts'
import { type State } from './running.ts'

interface Example {
  orig: string
  dest: string
  /** The pair's last day with prices enough for an average. */
  day: string
  /** The day after the pair's last price: nothing is known of it. */
  free: string
}

/** The URLs, and three commands to try with what they will print: asked of the running system, not remembered. */
export async function summarize(state: State): Promise<string> {
  const { url = '', databaseUrl = '', brokers = '', processes } = state
  const managed = processes.filter(({ managementUrl }) => managementUrl !== undefined)
  const metrics = managed.map(({ name, managementUrl }) => [name, `${managementUrl}/metrics`] as const)
  const rows = [
    ['API', url],
    ['to read', `${url}/docs`],
    ['bottleneck', `${url}/bottleneck`],
    ['PostgreSQL', withoutSecret(databaseUrl)],
    ['Kafka', brokers],
    ...objectStoreRows(state.objectStore),
    ...metrics.sort(([one], [other]) => one.localeCompare(other)),
    ...monitoring(state),
    ['logs', short(folders.logs)],
  ] as const
  const lines = rows.map(([name, what]) => `${name.padEnd(12)}${what}`)
  const example = await findExample(databaseUrl)
  if (example !== undefined) lines.push('', ...(await tryThese(url, example)))
  return [...lines, '', 'Ctrl-C stops everything.'].join('\n')
}

/** Where the Prometheus beside it answers which stage is the bottleneck, and what alerts. */
function monitoring({ prometheusUrl: url }: State) {
  if (url === undefined) return []
  return [
    ['Prometheus', url],
    ['  verdict', verdictUrl(url)],
    ['  alerts', `${url}/alerts`],
  ] as const
}

async function tryThese(url: string, { orig, dest, day, free }: Example): Promise<string[]> {
  const ratesUrl = (on: string) => `${url}/rates?date_from=${on}&date_to=${on}&orig_code=${orig}&dest_code=${dest}`
  const answer = await (await fetch(ratesUrl(day))).text()
  const row = (price: number) => `${orig},${dest},${free},${price}\\n`
  return [
    'Try, in another terminal:',
    `  $ curl '${ratesUrl(day)}'`,
    `  ${answer.trim()}`,
    `  $ printf 'orig_code,dest_code,day,price\\n${[1100, 1200, 1300].map(row).join('')}' | npx rates produce -`,
    '  succeeded: 3 rows in 1 chunk, visible ...',
    `  $ curl '${ratesUrl(free)}'`,
    `  {"rates":[{"count":3,"day":"${free}","price":1200}]}`,
  ]
}

/** Of the packs that the database meets first, the newest day with an average. */
async function findExample(databaseUrl: string): Promise<Example | undefined> {
  const client = new pg.Client({ ...connectionOptions(databaseUrl) })
  await client.connect()
  try {
    const { rows } = await client.query<Example>(`
      with sample as (
        select orig, dest, month, days, n from price_packs
        where batch_no <> all (array(select batch_no from hidden_batches)) limit 1000
      ), chosen as (
        select orig, dest, month + d.day::int as day from sample, unnest(days, n) as d(day, n)
        where d.n >= 3 order by 3 desc, 1, 2 limit 1
      )
      select o.code as orig, d.code as dest, chosen.day::text,
        (select max(p.month + p.days[cardinality(p.days)]) + 1 from price_packs p
          where p.orig = chosen.orig and p.dest = chosen.dest)::text as free
      from chosen join ports o on o.id = chosen.orig join ports d on d.id = chosen.dest`)
    return rows[0]
  } finally {
    await client.end()
  }
}

/** The password of our own server is no secret; that of a given one is not for the screen. */
function withoutSecret(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  if (process.env['DATABASE_URL'] && url.password) url.password = '***'
  return url.href
}
