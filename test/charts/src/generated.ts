import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { documentedValues } from './documented-values.ts'
import { chartFolder, type ChartName } from './value-sets.ts'

// Files of the charts that are made of others. `node test/charts/src/generated.ts` writes them; a test says when.

const migrations = fileURLToPath(new URL('../../../db/migrations/', import.meta.url))
const BEGIN = '<!-- values: made of values.yaml -->'
const END = '<!-- end of values -->'

/** What each file has to hold, by its path. */
export function generated(): Map<string, string> {
  return new Map([
    [`${chartFolder('rates')}/files/migrations.sha`, `${hashOfMigrations()}\n`],
    ...(['rates', 'rates-dev'] as const).map((chart): [string, string] => [
      `${chartFolder(chart)}/README.md`,
      withTable(chart),
    ]),
  ])
}

/** A chart cannot read what is outside of its folder; the migration Job's name is made of this. */
function hashOfMigrations(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(migrations)
    .filter((name) => name.endsWith('.sql'))
    .sort()) {
    hash.update(`${file}\n`).update(readFileSync(migrations + file))
  }
  return hash.digest('hex')
}

function withTable(chart: ChartName): string {
  const path = `${chartFolder(chart)}/README.md`
  const text = existsSync(path) ? readFileSync(path, 'utf8') : `${BEGIN}\n${END}\n`
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error(`${path} has no place for the table of values: ${BEGIN} … ${END}`)
  return `${before}${BEGIN}\n${table(chart)}\n${END}${after}`
}

function table(chart: ChartName): string {
  const rows = documentedValues(chart).map(
    ({ path, text, default: value }) => `| \`${path}\` | ${told(value)} | ${text.replaceAll('|', '\\|')} |`,
  )
  return ['| value | default | |', '|---|---|---|', ...rows].join('\n')
}

function told(value: unknown): string {
  if (value === '') return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return `\`${text.replaceAll('"', '').replaceAll(':', ': ').replaceAll(',', ', ')}\``
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of generated()) writeFileSync(path, text)
}
