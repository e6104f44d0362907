import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'

const root = new URL('../../', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')

/** The variables that a service reads: the keys of its schema, and of those that are spread into it. */
function variables(...files: string[]): string[] {
  return files.flatMap((file) => [...read(file).matchAll(/^ {2}([A-Z][A-Z0-9_]+):/gm)].map(([, name]) => name!))
}

describe('README', () => {
  it('has every setting in its table, and no other', () => {
    const settings = variables(
      'libs/service/src/config.ts',
      'services/rates-api/src/config.ts',
      'services/ingest/src/config.ts',
    )
    const told = [...read('README.md').matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, name]) => name!)
    expect(settings).toContain('DATABASE_URL')
    expect(new Set(told)).toEqual(new Set(settings))
  })

  it('names commands that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const told = [...read('README.md').matchAll(/npm run ([a-z0-9:]+)/g)].map(([, name]) => name!)
    expect(told.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  it('links to files that exist', () => {
    for (const [, file] of read('README.md').matchAll(/\]\(([^)#:]+)\)/g)) expect(read(file!).length).toBeGreaterThan(0)
  })
})
