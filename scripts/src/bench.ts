/**
 * `npm run bench`: what the platform promises of speed and memory, measured side by side with what people use, in one
 * run on a PostgreSQL and a Kafka of its own. Figures depend on the machine: read the ratios. docs/benchmarks.md says
 * what is measured, and shows a run.
 */
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import { Lifecycle } from '@rates/service/lifecycle'
import { estimate, HELP, readOptions, type Plan } from './bench/options.ts'
import { writeReport } from './bench/report.ts'
import { checksOf, tablesOf, type Results } from './bench/results.ts'
import { runBench } from './bench/run.ts'
import { asText, checkTable } from './bench/table.ts'

function show(results: Results): void {
  const { machine, plan, failed } = results
  console.log(`\n${machine.cores} cores, everything on this machine, PostgreSQL ${machine.postgres}\n`)
  for (const { tables } of tablesOf(results)) for (const table of tables) console.log(`${asText(table)}\n`)
  const checks = checksOf(results)
  if (checks.length > 0) console.log(`${asText(checkTable(checks))}\n`)
  if (plan.quick) console.log('At toy size: it shows that everything works, and no figure above says anything else.\n')
  for (const [name, fault] of Object.entries(failed)) console.log(`${name} FAILED: ${fault.split('\n')[0]}`)
  console.log(`${results.seconds} s in all`)
}

/** Figures that miss what was asked are results; a section that does not get through is a fault. */
async function run(plan: Plan): Promise<number> {
  const lifecycle = new Lifecycle()
  process.once('SIGINT', () => void lifecycle.stop().finally(() => process.exit(130)))
  process.once('SIGTERM', () => void lifecycle.stop().finally(() => process.exit(143)))
  process.stderr.write(
    `${plan.sections.join(', ')}: about ${Math.ceil(estimate(plan) / 6) / 10} min on 2 cores (here ${os.availableParallelism()})\n`,
  )
  try {
    const results = await runBench(plan, lifecycle)
    show(results)
    return Object.keys(results.failed).length === 0 ? 0 : 1
  } finally {
    await lifecycle.stop()
  }
}

try {
  const wanted = readOptions(process.argv.slice(2))
  if ('help' in wanted) console.log(HELP)
  else if ('report' in wanted) {
    const results = JSON.parse(await readFile(wanted.report, 'utf8')) as Results
    for (const file of await writeReport(results)) console.log(file)
  } else process.exitCode = await run(wanted.plan)
} catch (error) {
  const { message, code } = error as Error & { code?: string }
  const options = message.startsWith('--') || code?.startsWith('ERR_PARSE_ARGS') === true
  console.error(options ? `bench: ${message}` : error)
  process.exitCode = 1
}
