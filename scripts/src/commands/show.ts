import { type Batch } from '@rates/core/batch'
import { Command } from 'commander'
import { readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { allErrors, describeErrors, readErrors } from '../bad-rows.ts'
import { describeBatch } from '../batch-page.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'

interface Options {
  errors?: boolean
  dryRun?: boolean
  json?: boolean
  url?: string
}

export function showCommand(): Command {
  const command = new Command('show')
    .description('show a batch')
    .argument('<ID>', 'the id of the batch')
    .option('--errors', 'its bad rows, as "rates errors" shows them')
    .option('--dry-run', 'the dry run that had this id')
    .option('--json', "print the API's answer")
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 shown; 1 there is no such batch; 2 wrong usage; 3 the API cannot be reached.

Examples:
  rates show acme-1
  rates show acme-1 --json | jq .phases`,
    )
    .action((id: string, options: Options) => exitWith(() => show(id, options)))
  return usageExits(command)
}

async function show(id: string, options: Options): Promise<number> {
  const { errors = false, dryRun = false, json = false, url: given } = options
  const url = await findApi(given)
  if (errors) {
    const found = await readErrors({ url, id, dryRun })
    console.log(json ? JSON.stringify(found) : describeErrors(found, allErrors(id, options)))
    return EXIT.done
  }
  const batch = await readApi<Batch>(url, `/batches/${encodeURIComponent(id)}${dryRun ? '?dryRun=true' : ''}`)
  if (!batch) throw new CommandFailure(EXIT.refused, `There is no ${dryRun ? 'dry run' : 'batch'} ${id}.`)
  console.log(json ? JSON.stringify(batch) : describeBatch(batch).join('\n'))
  return EXIT.done
}
