import { isTransient } from '@rates/service/transient'
import { UnknownBatch, verify, type Verification } from '@rates/service/ledger/verify'
import { Command } from 'commander'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { Progress } from '../progress.ts'
import { findRunning } from '../running.ts'
import { describeVerification, exitCodeOfVerification } from '../verification.ts'

interface Options {
  all?: boolean
  dryRun?: boolean
  json?: boolean
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('prove that what is stored is what was accepted')
    .argument('[ID]', 'the id of a batch')
    .option('--all', 'all batches, and that nothing is stored that belongs to none')
    .option('--dry-run', 'the dry run that had this id')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Digests and row counts are computed again from what is stored and compared with the ledger's; each pack's counts and
sums are compared with its prices. It reads one snapshot and changes nothing, so it may run beside loads.

Exit codes: 0 all of it is proven; 1 something is wrong, or there is no such batch; 2 wrong usage; 3 PostgreSQL cannot
be reached; 5 nothing is wrong, but something cannot be proven: the retention of prices has removed a part of a batch,
or the batch that was asked for has not ended.`,
    )
    .action((id: string | undefined, options: Options) => {
      if ((id === undefined) !== (options.all === true))
        command.error('error: name a batch, or say --all', { exitCode: EXIT.usage })
      if (options.all && options.dryRun)
        command.error('error: --dry-run goes with the id of a batch', { exitCode: EXIT.usage })
      return exitWith(() => run(id, options))
    })
  return usageExits(command)
}

async function run(id: string | undefined, { dryRun = false, json = false }: Options): Promise<number> {
  const { databaseUrl } = await findRunning('databaseUrl')
  const progress = new Progress()
  let started = false
  const onProgress = (rows: number, total: number): void => {
    // One batch is done before a line could be read.
    if (id === undefined && !started) progress.start('verifying', { unit: 'rows', total })
    started = true
    progress.update(rows)
  }
  let result: Verification
  try {
    result = await verify(databaseUrl, id === undefined ? 'all' : { id, dryRun }, { onProgress })
    progress.finish()
  } catch (error) {
    progress.clear()
    throw explain(error)
  }
  console.log(json ? JSON.stringify(result) : describeVerification(result).join('\n'))
  return exitCodeOfVerification(result)
}

function explain(error: unknown): unknown {
  const fault: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(fault instanceof Error)) return error
  if (fault instanceof UnknownBatch) return new CommandFailure(EXIT.refused, fault.message)
  if ((fault as { code?: string }).code === '42P01') {
    return new CommandFailure(
      EXIT.refused,
      'The database does not have the schema yet: migrate it first (rates start does).',
    )
  }
  if (!isTransient(fault)) return error
  return new CommandFailure(EXIT.unreachable, `PostgreSQL cannot be reached: ${fault.message}`, fault)
}
