import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Bench, prepare } from './bench.ts'
import { type Plan, type SectionName } from './options.ts'
import { writeProfiles } from './profile.ts'
import { machine, sectionOf, type Results } from './results.ts'

/** Runs the sections of the plan, one after the other; one that fails does not keep the others from running. */
export async function runBench(plan: Plan, lifecycle: Lifecycle): Promise<Results> {
  const started = performance.now()
  const at = new Date().toISOString()
  const dir = await mkdtemp(path.join(os.tmpdir(), 'rates-bench-'))
  lifecycle.defer('folder', () => rm(dir, { recursive: true, force: true }))
  const bench = await prepare(plan, dir, lifecycle)
  const { rows } = await bench.site.db.query<{ server_version: string }>('show server_version')
  const results: Results = {
    at,
    seconds: 0,
    took: {},
    machine: machine(rows[0]!.server_version, bench.program === 'psql' ? 'psql' : 'COPY by the driver'),
    plan,
    sections: {},
    failed: {},
  }
  for (const name of plan.sections) await runSection(bench, name, results)
  if (plan.profile !== undefined) bench.step(`profiles: ${await writeProfiles(bench, plan.profile)}`)
  results.seconds = Math.round((performance.now() - started) / 1000)
  if (plan.json !== undefined) {
    await mkdir(path.dirname(path.resolve(plan.json)), { recursive: true })
    await writeFile(plan.json, `${JSON.stringify(results, null, 2)}\n`)
  }
  return results
}

async function runSection<Name extends SectionName>(bench: Bench, name: Name, results: Results): Promise<void> {
  const started = performance.now()
  bench.step(`${name} …`)
  try {
    results.sections[name] = await sectionOf(name).run(bench)
  } catch (error) {
    results.failed[name] = error instanceof Error ? (error.stack ?? error.message) : String(error)
    bench.step(`  FAILED: ${results.failed[name]}`)
    // What it left running would disturb the next ones.
    await bench.site.stopWorkers()
  }
  const took = Math.round((performance.now() - started) / 1000)
  results.took[name] = took
  bench.step(`${name}: ${took} s`)
}
