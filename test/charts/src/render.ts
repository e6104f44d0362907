import { execFile } from 'node:child_process'
import { parseAllDocuments, stringify } from 'yaml'
import { program } from './programs.ts'
import { kubernetesVersion } from './schemas.ts'
import { chartFolder, type ChartName } from './value-sets.ts'

export type Helm = 'helm3' | 'helm4'

/** An object of Kubernetes, of any kind: tests look where they know that something is. */
export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each kind has other fields
  [field: string]: any
}

export interface RenderOptions {
  helm?: Helm
  /** Files with values, and values that come after them. */
  files?: string[]
  values?: object
  release?: string
  namespace?: string
}

/** What was refused, in Helm's words. */
export class Refused extends Error {
  override name = 'Refused'
}

/** As text. Without a cluster: `lookup` finds nothing. @throws Refused */
export async function renderText(chart: ChartName, options: RenderOptions = {}): Promise<string> {
  const { helm = 'helm4', files = [], values = {}, release = chart, namespace = 'freight' } = options
  const args = ['template', release, chartFolder(chart), '--namespace', namespace, '--kube-version', kubernetesVersion]
  return run(helm, [...args, ...files.flatMap((file) => ['-f', file]), '-f', '-'], stringify(values))
}

/** @throws Refused */
export async function render(chart: ChartName, options: RenderOptions = {}): Promise<Manifest[]> {
  return parseManifests(await renderText(chart, options))
}

export const parseManifests = (text: string): Manifest[] =>
  parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as Manifest | null
    return object === null ? [] : [object]
  })

export async function lint(helm: Helm, chart: ChartName, file: string): Promise<string> {
  return run(helm, ['lint', '--strict', '--kube-version', kubernetesVersion, chartFolder(chart), '-f', file], '')
}

/** What `helm install` tells whoever installs it. */
export async function notes(chart: ChartName, file: string): Promise<string> {
  const args = ['install', chart, chartFolder(chart), '--namespace', 'freight', '--dry-run=client', '-f', file]
  const said = await run('helm4', args, '')
  return said.slice(said.indexOf('\nNOTES:\n') + '\nNOTES:\n'.length)
}

async function run(helm: Helm, args: string[], input: string): Promise<string> {
  const command = await program(helm)
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error) reject(new Refused(stdout + stderr))
      else resolve(stdout)
    })
    child.stdin?.on('error', () => undefined) // it has refused before it read
    child.stdin?.end(input)
  })
}

/** The one object of a kind, and of a name that ends so. */
export function only(manifests: readonly Manifest[], kind: string, ending = ''): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name.endsWith(ending))
  if (found.length !== 1) throw new Error(`${found.length} of kind ${kind} with a name that ends in "${ending}"`)
  return found[0]!
}
