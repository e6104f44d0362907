import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { program } from './programs.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const file = join(root, 'Dockerfile')
const text = readFileSync(file, 'utf8')

beforeAll(() => program('hadolint'), 600_000)

it('has nothing that hadolint would do otherwise', async () => {
  const { stdout } = await run(await program('hadolint'), ['--no-color', file]).catch(
    (error: { stdout: string }) => error,
  )
  expect(stdout).toBe('')
})

/** Each stage's own lines by its name. */
const stages = new Map(
  text.split(/^FROM /m).map((stage) => [/^\S+ AS (\S+)/.exec(stage)?.[1] ?? '', stage.replaceAll('\\\n', ' ')]),
)

describe.each(['rates-api', 'ingest', 'tools'])('the image %s', (target) => {
  const stage = stages.get(target)!

  it('runs Node itself as a user without rights', () => {
    expect(stage).toMatch(/^USER 1000:1000$/m)
    expect(stage).toMatch(/^ENTRYPOINT \["node", /m)
    expect(stage).not.toMatch(/^RUN /m)
  })

  it('gets packages without those for development, and nothing of the sources', () => {
    const packages = stages.get(`${target}-packages`)!
    expect(packages).toMatch(/npm ci --omit=dev --ignore-scripts /)
    const copied = [...stage.matchAll(/^COPY (?:--from=(\S+) )?(\S+)/gm)].map(
      ([, from, path]) => `${from ?? ''}:${path}`,
    )
    const allowed = new RegExp(`^(${target}-packages:/app|build:/app/\\S+/dist|:db/migrations)$`)
    expect(copied.filter((each) => !allowed.test(each))).toEqual([])
  })

  it('copies what its package.json names of this repository', () => {
    const folder = target === 'tools' ? 'scripts' : `services/${target}`
    const needed = new Set([folder, ...ownDependencies(folder)])
    const copied = [...stage.matchAll(/^COPY --from=build \/app\/(\S+)\/dist/gm)].map(([, path]) => path)
    expect(copied.sort()).toEqual([...needed].sort())
  })
})

const folders: Record<string, string> = {
  '@rates/core': 'libs/rates',
  '@rates/service': 'libs/service',
  '@rates/local': 'libs/local',
  '@rates/db': 'db',
  '@rates/page': 'libs/page',
}

function ownDependencies(folder: string): string[] {
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>
  }
  const own = Object.keys(dependencies).filter((name) => name.startsWith('@rates/'))
  return own.flatMap((name) => [folders[name] ?? name, ...ownDependencies(folders[name]!)])
}
