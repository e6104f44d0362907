import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
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
})

describe('documents', () => {
  const folder = fileURLToPath(root)
  const files = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: folder })]
  const withoutCode = (file: string): string => read(file).replace(/^ *```[^]*?^ *```/gm, '')
  /** Headings as links name them. */
  const anchors = (file: string): string[] =>
    [...withoutCode(file).matchAll(/^#+ (.*)/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    )

  it.each(files)('%s links to files and headings that exist', (file) => {
    for (const [, link] of withoutCode(file).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, anchor] = link!.split('#')
      const target = path ? join(dirname(file), path) : file
      expect({ link, there: existsSync(join(folder, target)) }).toEqual({ link, there: true })
      if (anchor !== undefined) expect(anchors(target)).toContain(anchor)
    }
  })
})
