import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { helm } from './programs.ts'
import { chartOf } from './installation.ts'

/** The chart as it is, packaged under another version; `newMigrations`: as if it came with further ones. */
export async function packagedChart(version: string, newMigrations = false): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rates-chart-'))
  const copy = path.join(folder, 'rates')
  await cp(chartOf('rates'), copy, { recursive: true })
  if (newMigrations) {
    const file = path.join(copy, 'files', 'migrations.sha')
    await writeFile(file, `${(await readFile(file, 'utf8')).trim()} ${version}\n`)
  }
  await helm(['package', copy, '--version', version, '-d', folder])
  return path.join(folder, `rates-${version}.tgz`)
}
