import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { goProgram, type GoProgram, hasGo, presentGoProgram } from './go-programs.ts'
import { Missing } from './java.ts'

/** An object store that serves a plain folder by the interface of S3. */
export const versitygw: GoProgram = {
  path: 'github.com/versity/versitygw/cmd/versitygw',
  version: '1.8.0',
  tells: ['--version'],
  versionVariable: 'main.Version',
}

const namedProgram = (program: string | undefined): string | undefined =>
  program ?? (process.env['VERSITYGW_BIN'] || undefined)

/**
 * Whether an object store can be started: by the program named here or in VERSITYGW_BIN, the one on the PATH or in the
 * cache, or by one that Go would build. @throws Missing where none of them is there
 */
export async function requireVersitygw(program?: string): Promise<void> {
  const named = namedProgram(program)
  if (named === undefined) {
    if ((await presentGoProgram('versitygw', versitygw)) !== undefined || (await hasGo())) return
  } else if (await answersAsVersitygw(named)) return
  const fault =
    named === undefined
      ? `There is no object store here: neither versitygw ${versitygw.version} nor Go, which builds it, is on the PATH.`
      : `There is no object store here: "${named} --version" does not answer as versitygw.`
  throw new Missing(
    [
      fault,
      'Install Go (https://go.dev/dl): it builds the store in some minutes, once,',
      'or name a versitygw of yours (https://github.com/versity/versitygw/releases): VERSITYGW_BIN=/path/to/versitygw,',
      'or use a store that runs already: S3_ENDPOINT=http://host:port and its keys, in the settings of the services.',
    ].join('\n'),
  )
}

async function answersAsVersitygw(program: string): Promise<boolean> {
  const answer = await promisify(execFile)(program, versitygw.tells, { env: process.env }).catch(() => undefined)
  return answer !== undefined && /^Version\s*:.*^Build/ms.test(answer.stdout)
}

/** The path of the program, built first where it must be. @throws Missing */
export async function findVersitygw(program?: string, onProgress?: (note: string) => void): Promise<string> {
  await requireVersitygw(program)
  const named = namedProgram(program)
  if (named !== undefined) return named
  if (onProgress === undefined) return goProgram('versitygw', versitygw)
  return goProgram('versitygw', versitygw, (what, work) => {
    onProgress(what)
    return work()
  })
}
