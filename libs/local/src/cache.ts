import { randomBytes } from 'node:crypto'
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { isAlive } from './processes.ts'

/** Where downloads are kept, shared by all clones of the user. */
export function cacheFolder(name: string): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(base, 'rates', name)
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/**
 * The folder `name` of the cache, filled on first use. It is filled beside its place and renamed: a killed download
 * leaves nothing that looks complete, and of two at the same time one wins and the other is dropped.
 */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = cacheFolder(name)
  if (await exists(folder)) return folder
  await removeLeftDrafts(folder)
  const draft = `${folder}.${process.pid}.${randomBytes(4).toString('hex')}.part`
  await mkdir(draft, { recursive: true })
  try {
    await fill(draft)
    await rename(draft, folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return folder
}

async function removeLeftDrafts(folder: string) {
  for (const entry of await readdir(dirname(folder)).catch(() => [])) {
    const pid = entry.startsWith(`${basename(folder)}.`) && /\.(\d+)\.[0-9a-f]+\.part$/.exec(entry)?.[1]
    if (pid && !isAlive(Number(pid))) await rm(join(dirname(folder), entry), { recursive: true, force: true })
  }
}
