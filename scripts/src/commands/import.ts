import { DumpRefused } from '@rates/db/dump-refused'
import { ImportRefused } from '@rates/db/import-batch'
import { importDump, MissingTopics, type ImportOutcome, type ImportProgress } from '@rates/db/import-dump'
import { type UpsertCounts } from '@rates/db/upsert-catalogue'
import { ConfigError } from '@rates/service/config'
import { createLogger } from '@rates/service/log'
import { isTransient } from '@rates/service/transient'
import { Command } from 'commander'
import { kafkaSettings } from '../brokers.ts'
import { count, duration, Progress } from '../progress.ts'
import { findRunning, NothingRuns } from '../running.ts'

/** What a script can tell from the exit code. */
const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, interrupted: 130 } as const

export function importCommand(): Command {
  return new Command('import')
    .description('import a dump of the original schema')
    .argument('<file>', 'a plain pg_dump (COPY or --inserts, gzipped or not) of regions, ports and prices')
    .option('--again', 'send prices anew whose earlier batch failed, was cancelled or reverted')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT.done : EXIT.usage))
    .addHelpText(
      'after',
      `
All of the file is checked first; then regions and ports are written and the prices are sent as one batch, which
appears as a whole or not at all. To import the same prices twice is harmless: the second time changes nothing.

Exit codes: 0 imported, or nothing to do; 1 refused, nothing was imported; 2 wrong usage or no such file;
3 PostgreSQL or Kafka cannot be reached; 130 interrupted (import again to go on).`,
    )
    .action(async (file: string, options: { again?: boolean }) => {
      process.exitCode = await run(file, options)
    })
}

async function run(file: string, options: { again?: boolean }): Promise<number> {
  const progress = new Progress()
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort(new Error('interrupted'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  try {
    const { databaseUrl, brokers, prefix } = await findRunning('databaseUrl', 'brokers')
    const outcome = await importDump({
      file,
      databaseUrl,
      kafka: { ...kafkaSettings(brokers.split(','), 'rates-import'), prefix },
      log: createLogger('rates-import', 'silent'),
      again: options.again ?? false,
      onProgress: show(progress),
      signal: interrupt.signal,
    })
    progress.finish()
    console.log(inWords(outcome))
    return EXIT.done
  } catch (error) {
    progress.clear()
    const { code, message } = explain(error, file, interrupt.signal.aborted)
    console.error(message)
    return code
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  }
}

/** Shows each step as a line of its own. */
function show(progress: Progress): (step: ImportProgress) => void {
  let current = ''
  let stoodSince = 0
  let stood = -1
  return (step) => {
    if (step.step === 'queue') {
      if (current !== 'queue') progress.note('Another import is running; waiting for its end.')
      current = 'queue'
      return
    }
    if (step.step !== current) {
      current = step.step
      if (step.step === 'check') progress.start('checking', { unit: 'bytes', total: step.totalBytes })
      else progress.start(step.step === 'send' ? 'sending' : 'loading', { unit: 'rows', total: step.totalRows })
    }
    if (step.step === 'check') return progress.update(step.bytes, `${count(step.rows)} prices`)
    if (step.step === 'send') return progress.update(step.rows)
    if (step.rows !== stood) [stood, stoodSince] = [step.rows, Date.now()]
    const stands = Date.now() - stoodSince > 10_000
    const comment = step.error
      ? 'PostgreSQL does not answer; waiting for it'
      : stands
        ? 'nothing is being loaded: does an ingest worker run?'
        : ''
    progress.update(step.rows, comment)
  }
}

export function inWords({ regions, ports, rows, batchId, alreadyImported, seconds }: ImportOutcome): string {
  const unchanged = [regions, ports].every(({ added, changed }) => added + changed === 0)
  const catalogue = `regions: ${counts(regions)}; ports: ${counts(ports)}`
  if (batchId === null) {
    return unchanged
      ? `Nothing to do: the dump holds no prices, and its regions and ports are there already (${catalogue}).`
      : `Imported in ${duration(seconds)}: ${catalogue}; the dump holds no prices.`
  }
  if (alreadyImported) {
    const prices = `its ${count(rows)} prices are there as batch ${batchId}`
    return unchanged
      ? `Nothing to do: this dump was imported before; ${prices} (${catalogue}).`
      : `Imported in ${duration(seconds)}: ${catalogue}; nothing to do for the prices: ${prices}.`
  }
  return `Imported in ${duration(seconds)}: ${catalogue}; ${count(rows)} prices as batch ${batchId}.`
}

const counts = ({ added, changed, unchanged }: UpsertCounts): string =>
  `${count(added)} new, ${count(changed)} changed, ${count(unchanged)} unchanged`

export function explain(error: unknown, file: string, interrupted: boolean): { code: number; message: string } {
  // A refused connection to both addresses of a host is an AggregateError without a message.
  const fault: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(fault instanceof Error)) return { code: EXIT.refused, message: String(fault) }
  const { code } = fault as NodeJS.ErrnoException
  if (interrupted) {
    return {
      code: EXIT.interrupted,
      message: 'Interrupted. What was sent is kept; the same command goes on from there.',
    }
  }
  if (fault instanceof DumpRefused)
    return { code: EXIT.refused, message: `${file}: ${fault.message}\nNothing was imported.` }
  if (fault instanceof ImportRefused) return { code: EXIT.refused, message: `${file}: ${fault.message}` }
  if (fault instanceof ConfigError) return { code: EXIT.usage, message: fault.message }
  if (fault instanceof NothingRuns || fault instanceof MissingTopics) {
    return { code: EXIT.unreachable, message: fault.message }
  }
  if (code === 'ENOENT') return { code: EXIT.usage, message: `There is no file ${file}.` }
  if (code === 'EACCES') return { code: EXIT.usage, message: `${file} may not be read.` }
  if (code === '42P01') {
    return {
      code: EXIT.refused,
      message: 'The database does not have the schema yet: migrate it first (rates start does).',
    }
  }
  if (isTransient(fault) || fault.name.startsWith('KafkaJS')) {
    return { code: EXIT.unreachable, message: `PostgreSQL or Kafka cannot be reached: ${fault.message}` }
  }
  return { code: EXIT.refused, message: fault.stack ?? fault.message }
}
