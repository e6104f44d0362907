import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { alone, telling } from './alone.ts'
import { cached, cacheFolder, exists } from './cache.ts'
import { Missing } from './java.ts'

/** In this process's environment as it is now. */
const run = (program: string, args: string[]) => promisify(execFile)(program, args, { env: process.env })

/** Built from its module, which is one way for every machine and needs no trust in anybody's downloads. */
export interface GoProgram {
  version: string
  /** What `go install` takes, without the version. */
  path: string
  /** Prints its version. */
  tells: string[]
  /** The variable that its releases link their version into, where it would not tell it otherwise. */
  versionVariable?: string
}

/** Tells that something takes long, while it does. */
export type Telling = <T>(what: string, work: () => Promise<T>) => Promise<T>

/**
 * The path of the program: of that version on the PATH, or built into the user's cache, which takes up to some minutes
 * once. @throws Missing where it has to be built and there is no Go
 */
export async function goProgram(name: string, program: GoProgram, tell: Telling = telling): Promise<string> {
  return (await presentGoProgram(name, program)) ?? alone(name, () => buildGo(name, program, tell))
}

/** The same where nothing has to be built for it. */
export async function presentGoProgram(name: string, program: GoProgram): Promise<string | undefined> {
  const binary = binaryOf(program)
  if (await onPath(binary, program)) return binary
  const built = join(cacheFolder(folderOf(name, program)), binary)
  return (await exists(built)) ? built : undefined
}

export async function hasGo(): Promise<boolean> {
  return run('go', ['version']).then(
    () => true,
    () => false,
  )
}

const binaryOf = ({ path }: GoProgram): string => path.split('/').at(-1)!
const folderOf = (name: string, { version }: GoProgram): string => `programs/${name}-${version}`

/** What is on the PATH, where it is of that version: by its own word, or by what Go has written into it. */
async function onPath(binary: string, { path, version, tells }: GoProgram): Promise<boolean> {
  const said = await run(binary, tells).catch(() => undefined)
  if (said === undefined) return false
  if (said.stdout.split(/[\s:"]+/).some((word) => word.replace(/^v/, '').split('+')[0] === version)) return true
  const where = await run('/bin/sh', ['-c', 'command -v "$0"', binary])
  const built = await run('go', ['version', '-m', where.stdout.trim()]).catch(() => undefined)
  return built?.stdout.includes(`\tpath\t${path}\n`) === true && built.stdout.includes(`\tv${version}\t`)
}

async function buildGo(name: string, program: GoProgram, tell: Telling): Promise<string> {
  const { path, version, versionVariable } = program
  const binary = binaryOf(program)
  const folder = await cached(folderOf(name, program), async (draft) => {
    if (!(await hasGo())) {
      throw new Missing(`Go is missing, which ${name} ${version} is built with (https://go.dev/dl)`)
    }
    const env = { ...process.env, GOBIN: draft, GOFLAGS: '-trimpath', CGO_ENABLED: '0' }
    const linked = versionVariable === undefined ? '' : ` -X ${versionVariable}=v${version}`
    const args = ['go', 'install', '-ldflags', `-s -w${linked}`, `${path}@v${version}`]
    await tell(`building ${binary} ${version} (once)`, () => runNicely(args, env))
  })
  return join(folder, binary)
}

/** Others go first: a build of Go takes every core it can get. It ends with us. */
async function runNicely(command: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn('nice', command, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const kill = () => child.kill()
  process.once('exit', kill)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  }).finally(() => process.off('exit', kill))
  if (code !== 0) throw new Error(`${command.join(' ')} failed (exit code ${code}):\n${said}`)
}
