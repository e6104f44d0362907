import { type Batch } from '@rates/core/batch'
import { Command } from 'commander'
import { postApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { printable } from '../text.ts'

interface Options {
  dryRun?: boolean
  json?: boolean
  url?: string
}

export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description('end a batch that is still loading: nothing of it was or will be visible')
    .argument('<ID>', 'the id of the batch')
    .option('--dry-run', 'the dry run that has this id')
    .option('--json', "print the API's answer")
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
Its sender is told so. A batch that succeeded is not cancelled but reverted: rates revert ID.

Exit codes: 0 it is cancelled; 1 it has ended otherwise, or there is no such batch; 2 wrong usage; 3 the API cannot be
reached.

Example: rates cancel acme-1`,
    )
    .action((id: string, options: Options) => exitWith(() => cancel(id, options)))
  return usageExits(command)
}

async function cancel(id: string, { dryRun = false, json = false, url: given }: Options): Promise<number> {
  const url = await findApi(given)
  const query = dryRun ? '?dryRun=true' : ''
  const batch = await postApi<Batch>(url, `/batches/${encodeURIComponent(id)}/cancel${query}`)
  if (!batch) throw new CommandFailure(EXIT.refused, `There is no ${dryRun ? 'dry run' : 'batch'} ${id}.`)
  if (json) console.log(JSON.stringify(batch))
  else console.log(`cancelled: ${batch.id}: ${printable(batch.error?.message ?? '', 500)}; nothing of it is visible`)
  return EXIT.done
}
