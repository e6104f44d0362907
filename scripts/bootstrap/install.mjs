import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runQuietly, Told } from './run.mjs'
import { step } from './terminal.mjs'

const wantedNode = 24

/** Installs the packages where they are missing or not those of package-lock.json. */
export async function install(root) {
  if (isInstalled(root)) return
  await step('installing packages', () => runQuietly('npm', ['ci', '--loglevel=error'], { cwd: root }))
}

/** npm writes what it has installed into node_modules/.package-lock.json: the same versions must stand there. */
function isInstalled(root) {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const there = readPackages(join(root, 'node_modules', '.package-lock.json'))
  if (there === undefined) return false
  return Object.entries(wanted ?? {}).every(([path, { version, optional, link }]) => {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true
    const found = there[path]
    if (found === undefined) return optional === true
    return link === true || found.version === version
  })
}

function readPackages(file) {
  if (!existsSync(file)) return undefined
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

/** The Node that the packages bring with them, whatever the outer one is. */
export function node24(root) {
  const bundled = join(root, 'node_modules', 'node', 'bin', 'node')
  if (existsSync(bundled)) return bundled
  if (Number(process.versions.node.split('.')[0]) >= wantedNode) return process.execPath
  throw new Told(
    `Node ${wantedNode} is missing: it comes with the packages by an install script, which was not run.\n` +
      'Run `npm rebuild node` (or `npm ci` without --ignore-scripts), or use Node 24 yourself.',
  )
}
