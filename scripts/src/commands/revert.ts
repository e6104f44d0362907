import { type Batch } from '@rates/core/batch'
import { Command } from 'commander'
import { postApi, readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { plural, utc } from '../text.ts'

interface Options {
  json?: boolean
  url?: string
}

export function revertCommand(): Command {
  const command = new Command('revert')
    .description('hide a batch that succeeded: all of it disappears in one instant')
    .argument('<ID>', 'the id of the batch')
    .option('--json', "print the API's answer")
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
If it had replaced another batch, that one is visible again in the same instant. A batch that was itself replaced cannot
be reverted: revert its replacement. It cannot be undone: a corrected file takes a new id.

Exit codes: 0 it is reverted; 1 refused, or there is no such batch; 2 wrong usage; 3 the API cannot be reached.

Example: rates revert acme-1 --url https://rates.example.com`,
    )
    .action((id: string, options: Options) => exitWith(() => revert(id, options)))
  return usageExits(command)
}

async function revert(id: string, { json = false, url: given }: Options): Promise<number> {
  const url = await findApi(given)
  const path = `/batches/${encodeURIComponent(id)}`
  const before = await readApi<Batch>(url, path)
  const batch = await postApi<Batch>(url, `${path}/revert`)
  if (!batch) throw new CommandFailure(EXIT.refused, `There is no batch ${id}.`)
  if (json) console.log(JSON.stringify(batch))
  else console.log(before?.state === 'reverted' ? describeBefore(batch) : await describe(url, batch))
  return EXIT.done
}

const describeBefore = ({ id, hiddenAt }: Batch): string =>
  `reverted before${hiddenAt === null ? '' : `, at ${utc(hiddenAt)}`}: ${id}; nothing changed`

async function describe(url: string, { id, rows, replaces }: Batch): Promise<string> {
  const lines = [`reverted: ${id}, ${plural(rows.accepted, 'row')}; nothing of it is visible any more`]
  const replaced = replaces === null ? undefined : await readApi<Batch>(url, `/batches/${encodeURIComponent(replaces)}`)
  if (replaced?.state === 'succeeded') {
    lines.push(`visible again: ${replaced.id}, ${plural(replaced.rows.accepted, 'row')}, which it had replaced`)
  }
  return lines.join('\n')
}
