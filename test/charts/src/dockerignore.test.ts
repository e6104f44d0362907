import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '../../..')
const rules = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => ({ keeps: line.startsWith('!'), pattern: asRegExp(line.replace(/^!/, '')) }))

/** Unlike those of a shell, a star takes a leading dot, too. */
function asRegExp(pattern: string): RegExp {
  const parts = pattern.split(/(\*\*\/|\*)/).map((part) => {
    if (part === '**/') return '(?:.*/)?'
    return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`)
}

/** As Docker does: the last rule that speaks of the file, or of a folder that it is in, decides. */
function isSent(file: string): boolean {
  const parts = file.split('/')
  const paths = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
  const last = rules.findLast(({ pattern }) => paths.some((path) => pattern.test(path)))
  return last?.keeps ?? true
}

const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n')
const sent = tracked.filter(isSent)

it('sends what the Dockerfile copies', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) => sources!.split(' '))
  for (const source of new Set(copied)) {
    expect([source, sent.some((file) => file === source || file.startsWith(`${source}/`))]).toEqual([source, true])
  }
})

it('sends sources, and nothing that is secret, made by a tool, or for tests', () => {
  const top = new Set(sent.map((file) => file.split('/')[0]))
  expect([...top].sort()).toEqual(
    ['.swcrc', 'db', 'libs', 'package-lock.json', 'package.json', 'scripts', 'services'].sort(),
  )
  expect(sent.filter((file) => !/\.(tsx?|json|mjs|sql|xml|swcrc|gz|csv|md|js|html|css)$/.test(file))).toEqual([])
  expect(sent.filter((file) => /test/.test(file))).toEqual([])
  const others = ['.git/config', '.env', '.npmrc', '.rates/state.json', 'node_modules/pg/package.json']
  const made = ['libs/rates/dist/batch.js', 'scripts/node_modules/commander/index.js', 'services/ingest/dist/main.js']
  expect([...others, ...made, 'db/.rates/x', 'charts/rates/values.yaml'].filter(isSent)).toEqual([])
})
