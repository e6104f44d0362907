import { type Batch } from '@rates/core/batch'
import { Command } from 'commander'
import { readApi } from '../api.ts'
import { describeBatch } from '../batch-page.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { allErrorsUrl, errorTable, type ShownError } from '../outcome.ts'
import { plural, shellWord } from '../text.ts'
import { findRunning } from '../running.ts'

interface Options {
  errors?: boolean
  dryRun?: boolean
  json?: boolean
}

interface BatchErrors {
  rejected: number
  /** The first 1 000. */
  errors: ShownError[]
}

export function showCommand(): Command {
  const command = new Command('show')
    .description('show a batch')
    .argument('<ID>', 'the id of the batch')
    .option('--errors', 'its bad rows, the first 1 000 of them')
    .option('--dry-run', 'the dry run that had this id')
    .option('--json', "print the API's answer")
    .addHelpText(
      'after',
      '\nExit codes: 0 shown; 1 there is no such batch; 2 wrong usage; 3 the API cannot be reached.',
    )
    .action((id: string, options: Options) => exitWith(() => show(id, options)))
  return usageExits(command)
}

async function show(id: string, { errors = false, dryRun = false, json = false }: Options): Promise<number> {
  const { url } = await findRunning('url')
  const path = `/batches/${encodeURIComponent(id)}`
  const query = dryRun ? '?dryRun=true' : ''
  const read = async <T>(what: string): Promise<T> => {
    const found = await readApi<T>(url, what + query)
    if (found !== undefined) return found
    throw new CommandFailure(EXIT.refused, `There is no ${dryRun ? 'dry run' : 'batch'} ${id}.`)
  }
  if (!errors) {
    const batch = await read<Batch>(path)
    console.log(json ? JSON.stringify(batch) : describeBatch(batch).join('\n'))
    return EXIT.done
  }
  const found = await read<BatchErrors>(`${path}/errors`)
  console.log(json ? JSON.stringify(found) : describeErrors(found, allErrorsUrl(url, `${path}/errors${query}`)))
  return EXIT.done
}

function describeErrors({ rejected, errors }: BatchErrors, all: string): string {
  if (rejected === 0) return 'It has no bad rows.'
  const lines = [
    ...errorTable(errors),
    '',
    `${plural(rejected, 'bad row')}. Rows are counted from 1, without a header line.`,
  ]
  lines.push(`All of them, with their text: curl ${shellWord(all)}`)
  return lines.join('\n')
}
