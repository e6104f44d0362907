import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { spawnLogged } from '@rates/local/processes'
import { type Bench, warmWorkers } from './bench.ts'
import { selfTimes, type CpuProfile } from './cpu-profile.ts'
import { loadBatch } from './product.ts'
import { children } from './processes.ts'
import { type Order } from './rows.ts'
import { type Site } from './site.ts'
import { asMarkdown, type Table } from './table.ts'

const run = promisify(execFile)
const TOP = 25
const LOADS = 5

/** Where the time of a load goes, in workers and in PostgreSQL: the profiles, and a summary beside them. */
export async function writeProfiles(bench: Bench, target: string): Promise<string> {
  const { site, plan, inputs, step } = bench
  const tables: Table[] = []
  await site.db.query('create extension if not exists pg_stat_statements')
  for (const order of ['pair', 'random'] as Order[]) {
    step(`  profile, ${order === 'pair' ? 'in order of pairs' : 'in random order'}`)
    const dir = path.resolve(target, order)
    await mkdir(dir, { recursive: true })
    const file = await inputs.csv({ rows: plan.rows, order })
    await warmWorkers(bench, site, 2, {
      fresh: true,
      flags: ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${dir}`],
    })
    await site.db.query('select pg_stat_statements_reset()')
    const perf = await startPerf(site, path.join(dir, 'postgres.perf'))
    const since = Number(process.hrtime.bigint() / 1_000n)
    let seconds = 0
    for (let i = 0; i < LOADS; i++) {
      await site.empty()
      seconds += (await loadBatch(site, file, 'profile')).loadSeconds
    }
    const symbols = await perf()
    tables.push(await statements(site, order))
    await site.stopWorkers() // they write their profiles when they end
    tables.push(...(await workerTables(dir, order, since)))
    if (symbols !== undefined) tables.push(symbolTable(symbols, order))
    step(`  ${LOADS} x ${plan.rows} rows in ${seconds.toFixed(2)} s`)
  }
  const summary = path.join(target, 'summary.md')
  await writeFile(summary, `${tables.map(asMarkdown).join('\n\n')}\n`)
  return summary
}

async function statements(site: Site, order: Order): Promise<Table> {
  const { rows } = await site.db.query<{ query: string; calls: number; total: number; wal: number }>(
    `select query, calls::int as calls, total_exec_time as total, wal_bytes::float8 as wal
     from pg_stat_statements order by total_exec_time desc limit 12`,
  )
  return {
    title: `PostgreSQL's statements, ${LOADS} loads, ${order}`,
    head: ['', 'calls', 'ms', 'WAL kB'],
    rows: rows.map(({ query, calls, total, wal }) => [
      query.replaceAll(/\s+/g, ' ').slice(0, 100),
      String(calls),
      total.toFixed(0),
      (wal / 1000).toFixed(0),
    ]),
  }
}

async function workerTables(dir: string, order: Order, since: number): Promise<Table[]> {
  const tables: Table[] = []
  for (const name of (await readdir(dir)).filter((each) => each.endsWith('.cpuprofile'))) {
    const profile = JSON.parse(await readFile(path.join(dir, name), 'utf8')) as CpuProfile
    const { total, functions } = selfTimes(profile, since)
    if (total === 0) continue // of an earlier run into the same folder
    tables.push({
      title: `Worker ${tables.length + 1}, self time, ${order}: ${(total / 1000).toFixed(0)} ms busy in ${LOADS} loads`,
      head: ['', 'ms', '%'],
      rows: functions
        .slice(0, TOP)
        .map(({ name: at, micros }) => [at, (micros / 1000).toFixed(0), ((100 * micros) / total).toFixed(1)]),
    })
  }
  return tables
}

/** Samples all of PostgreSQL's processes, where perf is there and may. @returns a function that ends it and tells symbols */
async function startPerf(site: Site, file: string): Promise<() => Promise<string | undefined>> {
  const pids = [site.postgresPid, ...(await children(site.postgresPid))]
  const args = ['record', '-q', '-F', '997', '-o', file, '-p', pids.join(',')]
  const perf = await spawnLogged('perf', args, { log: `${file}.log` }).catch(() => undefined)
  return async () => {
    if (perf === undefined) return undefined
    await perf.stop('SIGINT', 5_000)
    const flags = ['report', '-i', file, '--stdio', '--sort', 'symbol', '--percent-limit', '0.7', '-q']
    return run('perf', flags, { maxBuffer: 1 << 26 }).then(
      ({ stdout }) => stdout,
      () => undefined,
    )
  }
}

function symbolTable(report: string, order: Order): Table {
  const lines = [...report.matchAll(/^\s*([\d.]+)%\s+(\[.\]) (.+?)(?:\s+-)*\s*$/gm)]
  return {
    title: `PostgreSQL's functions by perf, ${order} ([k] is the kernel)`,
    head: ['', '%'],
    rows: lines.slice(0, TOP * 2).map(([, percent, where, symbol]) => [`${where} ${symbol}`, percent!]),
  }
}
