import { type Batch } from '@rates/core/batch'
import { Command, InvalidArgumentError } from 'commander'
import { readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { listBatches } from '../batch-page.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'

interface Options {
  state?: string
  source?: string
  search?: string
  retryOf?: string
  limit: number
  json?: boolean
  url?: string
}

interface Page {
  batches: Batch[]
  nextCursor: string | null
}

/** Of the API. */
const MAX_PAGE = 200

export function listCommand(): Command {
  const command = new Command('list')
    .description('list batches, newest first')
    .option('--state <states>', 'only these, separated by commas, such as pending,in_progress or failed')
    .option('--source <name>', 'only batches of this source')
    .option('--search <words>', 'only those in whose id, source or error every word is, or begins one')
    .option('--retry-of <id>', 'only those that run this batch again')
    .option('--limit <n>', 'at most so many', readLimit, 20)
    .option('--json', 'print them as JSON')
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 listed; 1 refused; 2 wrong usage; 3 the API cannot be reached.

Examples:
  rates list --state pending,in_progress
  rates list --search 'acme unknown_port' --limit 100`,
    )
    .action((options: Options) => exitWith(() => list(options)))
  return usageExits(command)
}

async function list({ state, source, search, retryOf, limit, json, url: given }: Options): Promise<number> {
  const url = await findApi(given)
  const batches: Batch[] = []
  let cursor: string | null = null
  do {
    const query = new URLSearchParams({ limit: String(Math.min(limit - batches.length, MAX_PAGE)) })
    for (const [name, value] of Object.entries({ state, source, q: search, retryOf })) {
      if (value !== undefined) query.set(name, value)
    }
    if (cursor !== null) query.set('cursor', cursor)
    const page: Page | undefined = await readApi<Page>(url, `/batches?${query}`)
    if (page === undefined) throw new CommandFailure(EXIT.unreachable, `What answers at ${url} is not the API.`)
    batches.push(...page.batches)
    cursor = page.nextCursor
  } while (cursor !== null && batches.length < limit)
  if (json) console.log(JSON.stringify(batches))
  else if (batches.length === 0) console.log('There are no such batches.')
  else {
    console.log(listBatches(batches).join('\n'))
    if (cursor !== null) console.log('There are older ones: --limit shows more.')
  }
  return EXIT.done
}

function readLimit(text: string): number {
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1) throw new InvalidArgumentError('It is a whole number from 1.')
  return limit
}
