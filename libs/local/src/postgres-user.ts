import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, chown, cp, lstat, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, parse } from 'node:path'
import { promisify } from 'node:util'
import { exists } from './cache.ts'

const run = promisify(execFile)

export interface User {
  name: string
  uid: number
  gid: number
}

/** Whom the server runs as: undefined is ourselves; as root, whom PostgreSQL refuses, it is `postgres`. */
export async function serverUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const name = 'postgres'
  const found = await lookUp(name)
  if (found !== undefined) return found
  // The second form is that of BusyBox (Alpine).
  await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', name]).catch(() =>
    run('adduser', ['-S', '-D', '-H', '-s', '/bin/false', name]).catch(() => undefined),
  )
  const created = await lookUp(name)
  if (created === undefined) {
    throw new Error(
      'PostgreSQL does not run as root and the user "postgres" could not be created: ' +
        'create it, run as another user, or name a server with DATABASE_URL',
    )
  }
  return created
}

async function lookUp(name: string): Promise<User | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

/** Whether the user can reach what is in the folder: all folders above it, and itself, can be entered. */
export async function canEnter(folder: string, user: User): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001
      if ((found.mode & bit) === 0) return false
    }
    if (path === parse(path).root) return true
  }
}

/** `dir`, or where the server's user cannot get there, a folder under /var/tmp that belongs to `dir` alone. */
export async function reachableFolder(dir: string, user: User | undefined): Promise<string> {
  if (user === undefined || (await canEnter(dirname(dir), user))) return dir
  const home = await ownFolder(dirname(dir))
  return join(home, basename(dir))
}

/** A copy of the binaries that the user can run, or they themselves where he can run them in their place. */
export async function reachableBinaries(binaries: string, user: User | undefined): Promise<string> {
  if (user === undefined) return binaries
  const parts = ['bin', 'lib', 'share'].map((part) => join(binaries, part))
  const enterable = await Promise.all(parts.map((part) => canEnter(part, user)))
  if (enterable.every(Boolean)) return binaries
  const { stdout: version } = await run(join(binaries, 'bin', 'postgres'), ['--version'])
  const copy = join(await ownFolder(`${binaries} ${version}`), 'postgres')
  if (await exists(copy)) return copy
  const draft = `${copy}.${process.pid}.part`
  await cp(binaries, draft, { recursive: true, verbatimSymlinks: true })
  await run('chmod', ['-R', 'a+rX', draft])
  await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true })) // another start was faster
  return copy
}

/** /var/tmp/rates-<hash>: anybody may write beside it, so it must be a folder of ours and no link to somewhere else. */
async function ownFolder(of: string): Promise<string> {
  const folder = `/var/tmp/rates-${createHash('sha256').update(of).digest('hex').slice(0, 12)}`
  await mkdir(folder, { recursive: true })
  const found = await lstat(folder)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) throw new Error(`${folder} belongs to somebody else`)
  await chmod(folder, 0o755)
  return folder
}

/** A file that only the user can read, whatever our umask is. */
export async function writeFileFor(file: string, text: string, user: User | undefined): Promise<void> {
  await writeFile(file, text, { mode: 0o600 })
  if (user !== undefined) await chown(file, user.uid, user.gid)
}

/** Makes the folder and gives it to the user, whatever our umask is. */
export async function makeFolderFor(folder: string, user: User | undefined): Promise<void> {
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o700)
  if (user !== undefined) await chown(folder, user.uid, user.gid)
}
