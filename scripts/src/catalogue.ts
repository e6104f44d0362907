import { createReadStream } from 'node:fs'
import {
  CATALOGUE_RULES,
  MAX_CATALOGUE_BYTES,
  MAX_CATALOGUE_ROWS,
  type CatalogueFault,
  type CatalogueKind,
} from '@rates/db/catalogue-entry'
import { CATALOGUE_COLUMNS } from '@rates/db/catalogue-file'
import { Command } from 'commander'
import { postApi, readApi } from './api.ts'
import { findApi, urlOption } from './api-url.ts'
import { explainInput } from './batch-input.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from './exit.ts'
import { count } from './progress.ts'
import { indent, plural, printable, table } from './text.ts'

/** Changes and faults that are printed; --json has what the API tells. */
const SHOWN = 50

interface Content {
  name: string
  region?: string
  parent?: string | null
}

export interface Changes {
  dryRun: boolean
  added: number
  changed: number
  unchanged: number
  changes: { code?: string; slug?: string; before: Content | null; after: Content }[]
}

/** `rates ports` and `rates regions`: list them, or bring in a file of them. */
export function catalogueCommand(kind: CatalogueKind): Command {
  const [key] = CATALOGUE_COLUMNS[kind]
  const command = usageExits(new Command(kind)).description(`list ${kind}, add and change them by a file`)
  usageExits(command.command('list'))
    .description(`list all ${kind}`)
    .option('--json', 'print them as JSON')
    .addOption(urlOption())
    .addHelpText('after', '\nExit codes: 0 listed; 2 wrong usage; 3 the API cannot be reached.')
    .action((options: { json?: boolean; url?: string }) => exitWith(() => list(kind, options)))
  usageExits(command.command('import'))
    .description(`add and change ${kind} by a CSV file`)
    .argument('<FILE.csv>', `a CSV file, - for standard input; its first line is ${CATALOGUE_COLUMNS[kind].join()}`)
    .option('--dry-run', 'only tell what would change')
    .option('--json', "print the API's answer")
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
What has a ${key} that is there already is changed, the rest is added; what the file does not name stays as it is.
${kind === 'ports' ? 'Their regions have to be there: import those first.' : 'Rows may come in any order; without parent_slug a region lies in no other.'}
All of the file counts, or nothing of it if any row is wrong: then every fault is told. At most ${count(MAX_CATALOGUE_ROWS)} rows.
Workers and the API know what is new at once.

Exit codes: 0 imported, or nothing to do; 1 refused, nothing was changed; 2 wrong usage or no such file;
3 the API cannot be reached.`,
    )
    .action((file: string, options: { dryRun?: boolean; json?: boolean; url?: string }) =>
      exitWith(() => importFile(kind, file, options)),
    )
  return command
}

async function list(
  kind: CatalogueKind,
  { json = false, url: given }: { json?: boolean; url?: string },
): Promise<number> {
  const url = await findApi(given)
  const answer = await readApi<Record<CatalogueKind, (Content & { code?: string; slug?: string })[]>>(url, `/${kind}`)
  if (answer === undefined) throw new CommandFailure(EXIT.unreachable, `What answers at ${url} is not the API.`)
  const rows = answer[kind]
  if (json) console.log(JSON.stringify(rows))
  else if (rows.length === 0) console.log(`There are no ${kind}.`)
  else {
    const cells = rows.map((row) => [row.code ?? row.slug!, row.name, parentOf(row)].map((cell) => printable(cell)))
    console.log(table(titles(kind), cells).join('\n'))
  }
  return EXIT.done
}

async function importFile(
  kind: CatalogueKind,
  file: string,
  { dryRun = false, json = false, url: given }: { dryRun?: boolean; json?: boolean; url?: string },
): Promise<number> {
  const url = await findApi(given)
  const name = file === '-' ? 'standard input' : file
  const content = await readAll(file, name)
  try {
    const body = { content, type: 'text/csv' }
    const changes = await postApi<Changes>(url, `/${kind}${dryRun ? '?dryRun=true' : ''}`, body)
    if (changes === undefined) throw new CommandFailure(EXIT.unreachable, `What answers at ${url} is not the API.`)
    console.log(json ? JSON.stringify(changes) : describeChanges(kind, name, changes))
    return EXIT.done
  } catch (error) {
    const refused = error instanceof CommandFailure ? (error.cause as Refused | undefined) : undefined
    if (refused?.faults === undefined) throw error
    if (json) console.log(JSON.stringify(refused))
    else console.error(describeFaults(name, refused))
    return EXIT.refused
  }
}

interface Refused {
  faults: number
  /** The first 1 000. */
  errors: CatalogueFault[]
}

export function describeChanges(kind: CatalogueKind, name: string, told: Changes): string {
  const { dryRun, added, changed, unchanged, changes } = told
  const counts = `${count(added)} added, ${count(changed)} changed, ${count(unchanged)} unchanged`
  const lines = changes.slice(0, SHOWN).map(({ code, slug, before, after }) => {
    const key = printable(code ?? slug!)
    if (before === null) return ['new', key, printable(after.name), printable(parentOf(after))]
    return ['changed', key, change(before.name, after.name), change(parentOf(before), parentOf(after))]
  })
  const rest = added + changed - lines.length
  return [
    ...(lines.length === 0 ? [] : [...table([{ title: '' }, ...titles(kind)], lines)]),
    ...(rest > 0 ? [`and ${count(rest)} more`] : []),
    ...(lines.length === 0 ? [] : ['']),
    dryRun ? `${name}: ${kind}: would be ${counts}; this was a dry run.` : `${name}: ${kind}: ${counts}.`,
  ].join('\n')
}

export function describeFaults(name: string, { faults, errors }: Refused): string {
  const shown = errors.slice(0, SHOWN)
  return [
    `refused: ${name}: ${plural(faults, 'fault')}; nothing was changed`,
    '',
    ...indent(
      table(
        [{ title: 'line', right: true }, { title: 'field' }, { title: 'value' }, { title: 'rule' }, { title: '' }],
        shown.map(({ line, field, value, rule }) => [
          line === null ? '-' : count(line),
          printable(field ?? '-'),
          printable(value),
          rule,
          CATALOGUE_RULES[rule],
        ]),
      ),
    ),
    ...(faults > shown.length ? ['', `The first ${shown.length} of them; --json has up to 1 000.`] : []),
  ].join('\n')
}

const titles = (kind: CatalogueKind): { title: string }[] =>
  kind === 'ports'
    ? [{ title: 'code' }, { title: 'name' }, { title: 'region' }]
    : [{ title: 'slug' }, { title: 'name' }, { title: 'parent' }]

const parentOf = ({ region, parent }: Content): string => region ?? parent ?? '-'

const change = (before: string, after: string): string =>
  before === after ? printable(after) : `${printable(before)} -> ${printable(after)}`

/** All of a file, or of standard input. */
async function readAll(file: string, name: string): Promise<Buffer<ArrayBuffer>> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of (file === '-' ? process.stdin : createReadStream(file)) as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > MAX_CATALOGUE_BYTES)
        throw new CommandFailure(EXIT.refused, `${name} has more than ${MAX_CATALOGUE_BYTES >> 20} MiB.`)
      pieces.push(piece)
    }
  } catch (error) {
    throw explainInput(error, name)
  }
  return Buffer.concat(pieces)
}
