import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { node24 } from './install.mjs'
import { runQuietly } from './run.mjs'
import { step } from './terminal.mjs'

/**
 * Builds dist/ of every package where a source has changed. nx knows that too, but takes 2 s to say so; comparing the
 * files' times and sizes takes some milliseconds.
 */
export async function build(root) {
  const cache = join(root, 'node_modules', '.cache', 'rates')
  const stamp = join(cache, 'build-stamp')
  // What was built from what; a package of tests alone has nothing to build.
  const isBuilt = () => {
    if (!existsSync(stamp)) return false
    const { of, built } = JSON.parse(readFileSync(stamp, 'utf8'))
    return of === fingerprint(root) && built.every(existsSync)
  }
  if (isBuilt()) return
  const unlock = await lock(join(cache, 'build-lock'))
  try {
    if (isBuilt()) return // by another command, while this one waited for the lock
    const before = fingerprint(root)
    await step('building', () =>
      runQuietly(node24(root), [join(root, 'node_modules', 'nx', 'dist', 'bin', 'nx.js'), 'run-many', '-t', 'build'], {
        cwd: root,
        // No daemon: it would go on after us. The bundled Node must be the one that package scripts find.
        env: { ...process.env, PATH: pathWithBin(root), NX_DAEMON: 'false', NX_TUI: 'false' },
      }),
    )
    const built = packages(root)
      .map((folder) => join(folder, 'dist'))
      .filter(existsSync)
    writeFileSync(stamp, JSON.stringify({ of: before, built }))
  } finally {
    unlock()
  }
}

export const pathWithBin = (root) => `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`

/** Of the sources and of what decides how they are built. */
function fingerprint(root) {
  const hash = createHash('sha256')
  const add = (file) => {
    const { mtimeMs, size } = statSync(file)
    hash.update(`${file} ${mtimeMs} ${size}\n`)
  }
  for (const file of ['package.json', 'package-lock.json', '.swcrc', 'nx.json']) add(join(root, file))
  for (const folder of packages(root)) {
    add(join(folder, 'package.json'))
    const entries = readdirSync(join(folder, 'src'), { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    files.sort().forEach(add)
  }
  return hash.digest('hex')
}

function packages(root) {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const folders = workspaces.flatMap((pattern) =>
    pattern.endsWith('/*')
      ? readdirSync(join(root, pattern.slice(0, -2))).map((name) => join(root, pattern.slice(0, -2), name))
      : [join(root, pattern)],
  )
  return folders.filter((folder) => existsSync(join(folder, 'src')) && existsSync(join(folder, 'package.json')))
}

/** Two commands at once must not build into one another: the second waits. A dead owner's lock counts for nothing. */
async function lock(file) {
  mkdirSync(dirname(file), { recursive: true })
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (!isAlive(Number(readFileSync(file, 'utf8')))) rmSync(file, { force: true })
      else await sleep(200)
    }
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
