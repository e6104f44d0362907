import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheFolder } from './cache.ts'
import { isAlive } from './processes.ts'

/** Tells on stderr what takes long, and how long it took. */
export async function telling<T>(what: string, work: () => Promise<T>): Promise<T> {
  const since = Date.now()
  process.stderr.write(`  ${what} ...\n`)
  const done = await work()
  process.stderr.write(`  ${what}: ${((Date.now() - since) / 1000).toFixed(1)} s\n`)
  return done
}

/** Of two processes that need the same thing, the second waits for the first. A dead owner's lock counts for nothing. */
export async function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = cacheFolder(join('programs', `${name}.lock`))
  await mkdir(cacheFolder('programs'), { recursive: true })
  for (;;) {
    const mine = await writeFile(lock, String(process.pid), { flag: 'wx' }).then(
      () => true,
      () => false,
    )
    if (mine) break
    const owner = await readFile(lock, 'utf8').catch(() => '')
    if (owner !== '' && !isAlive(Number(owner))) await rm(lock, { force: true })
    else await sleep(200)
  }
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}
