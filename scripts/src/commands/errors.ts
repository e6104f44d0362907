import { pipeline } from 'node:stream/promises'
import { asCsv, asNdjson, type BadRow } from '@rates/core/bad-rows'
import { Command, Option } from 'commander'
import { findApi, urlOption } from '../api-url.ts'
import { allErrors, collect, describeErrors, readErrors, openErrors, type BadRowsOf } from '../bad-rows.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { RULE_NAMES } from '../outcome.ts'
import { plural } from '../text.ts'
import { writeWhole } from '../write-whole.ts'

interface Options {
  format?: 'table' | 'csv' | 'ndjson'
  output?: string
  rule?: string
  dryRun?: boolean
  json?: boolean
  url?: string
}

const HELP = `
Rows are counted from 1, without a header line; the text of a row is as it came. The table has the first 1 000, CSV and
NDJSON have all. A file appears when all is in it, or not at all.

Exit codes: 0 shown; 1 there is no such batch; 2 wrong usage, or the file cannot be written; 3 the API cannot be reached.

Examples:
  rates errors acme-1
  rates errors acme-1 --rule unknown_port
  rates errors acme-1 --format csv -o bad-rows.csv
  rates errors acme-1 --format ndjson | jq -r .text`

export function errorsCommand(): Command {
  const command = new Command('errors')
    .description('the bad rows of a batch')
    .argument('<ID>', 'the id of the batch')
    .addOption(
      new Option(
        '--format <format>',
        'table, csv or ndjson (default: table; for a file by its name, else csv)',
      ).choices(['table', 'csv', 'ndjson']),
    )
    .option('-o, --output <file>', 'write all of them to a file')
    .addOption(new Option('--rule <rule>', 'only those that break this rule').choices(RULE_NAMES))
    .option('--dry-run', 'of the dry run that had this id')
    .option('--json', "print the API's answer, which has the first 1 000")
    .addOption(urlOption())
    .addHelpText('after', HELP)
    .action((id: string, options: Options) => exitWith(() => errors(id, options)))
  return usageExits(command)
}

async function errors(id: string, options: Options): Promise<number> {
  const { output, rule, dryRun = false, json = false } = options
  const format = formatOf(options)
  if (json && (output ?? rule ?? options.format) !== undefined) {
    throw new CommandFailure(EXIT.usage, '--json goes with neither --format, --output nor --rule')
  }
  if (output !== undefined && format === 'table') {
    throw new CommandFailure(EXIT.usage, '--output takes --format csv or ndjson')
  }
  const of = { url: await findApi(options.url), id, dryRun }
  if (json) console.log(JSON.stringify(await readErrors(of)))
  else if (format === 'table') console.log(await page(of, options))
  else await write(of, format, rule, output)
  return EXIT.done
}

function formatOf({ format, output }: Options): 'table' | 'csv' | 'ndjson' {
  if (format !== undefined || output === undefined) return format ?? 'table'
  return /\.(ndjson|jsonl)$/i.test(output) ? 'ndjson' : 'csv'
}

async function page(of: BadRowsOf, options: Options): Promise<string> {
  const { rule } = options
  const all = allErrors(of.id, options)
  if (rule === undefined) return describeErrors(await readErrors(of), all)
  const some = await collect(only(rule, await openErrors(of)))
  if (some.rejected === 0) return `No bad row of it breaks the rule ${rule}.`
  return describeErrors(some, `${all} --rule ${rule}`)
}

/** All of them, as the API has them in that format. */
async function write(of: BadRowsOf, format: 'csv' | 'ndjson', rule: string | undefined, output?: string) {
  const all = await openErrors(of)
  let found = 0
  const counted = async function* (): AsyncGenerator<BadRow> {
    for await (const row of rule === undefined ? all : only(rule, all)) {
      found++
      yield row
    }
  }
  const text = format === 'csv' ? asCsv(counted()) : asNdjson(counted())
  if (output === undefined) return pipeline(text, process.stdout, { end: false })
  await writeWhole(output, text)
  console.log(`${output}: ${plural(found, 'bad row')}`)
}

async function* only(rule: string, rows: AsyncIterable<BadRow>): AsyncGenerator<BadRow> {
  for await (const row of rows) if (row.rule === rule) yield row
}
