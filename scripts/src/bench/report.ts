import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { root } from '../home.ts'
import { plotsOf } from './plots.ts'
import { checksOf, tablesOf, type Results } from './results.ts'
import { asMarkdown, checkTable } from './table.ts'

const start = (name: string): string => `<!-- bench:${name} -->`
const end = (name: string): string => `<!-- /bench:${name} -->`

/**
 * Puts each block between its markers, in place of what stands there; what is outside stays.
 * @throws where the document has no such place, or has it twice
 */
export function fillBlocks(document: string, blocks: ReadonlyMap<string, string>): string {
  let filled = document
  for (const [name, block] of blocks) {
    const pieces = filled.split(start(name))
    if (pieces.length !== 2) throw new Error(`the document has ${start(name)} ${pieces.length - 1} times, not once`)
    const [before, after] = pieces as [string, string]
    const at = after.indexOf(end(name))
    if (at < 0) throw new Error(`the document has no ${end(name)} after its start`)
    filled = `${before}${start(name)}\n${block}\n${after.slice(at)}`
  }
  return filled
}

/** What a run found, by the name of the place in docs/benchmarks.md. Sections that were not run keep what stands there. */
export function blocksOf(results: Results): Map<string, string> {
  const { machine, at, plan, seconds } = results
  const blocks = new Map<string, string>()
  const tuning = plan.quick ? ' At toy size: no figure says anything.' : ''
  blocks.set(
    'machine',
    `${at.slice(0, 10)}: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, PostgreSQL ${machine.postgres}, ` +
      `Node ${machine.node}, everything on one machine; \`\\copy\` by ${machine.copy}; median of up to ${plan.runs} runs; ` +
      `${Math.round(seconds / 60)} minutes in all.${tuning}`,
  )
  const checks = checksOf(results)
  if (checks.length > 0) blocks.set('checks', asMarkdown({ ...checkTable(checks), title: '' }))
  for (const { name, tables } of tablesOf(results)) blocks.set(name, tables.map(asMarkdown).join('\n\n'))
  return blocks
}

/** Writes the tables of docs/benchmarks.md and the plots beside it. @returns the files */
export async function writeReport(results: Results): Promise<string[]> {
  const document = path.join(root, 'docs', 'benchmarks.md')
  const filled = fillBlocks(await readFile(document, 'utf8'), blocksOf(results))
  const folder = path.join(root, 'docs', 'plots')
  await mkdir(folder, { recursive: true })
  const files = [document]
  await writeFile(document, filled)
  for (const [name, svg] of plotsOf(results.sections)) {
    const file = path.join(folder, name)
    await writeFile(file, svg)
    files.push(file)
  }
  return files
}
