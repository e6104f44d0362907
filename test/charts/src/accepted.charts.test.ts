import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { lint, renderText } from './render.ts'
import { schemas } from './schemas.ts'
import { valueSets, type ChartName } from './value-sets.ts'

/** What kube-score calls critical and we do on purpose. */
const IGNORED: Record<ChartName, readonly string[]> = {
  rates: [
    // The images' user is node, 1000, as in the official image; podSecurity.runAsUser gives it another.
    'container-security-context-user-group-id',
    // A tag means one image, or there is a digest: a registry that is away must not keep pods from starting.
    'container-image-pull-policy',
  ],
  'rates-dev': [
    // The users of the official images.
    'container-security-context-user-group-id',
    'container-image-pull-policy',
    // On a laptop everything may talk to everything.
    'pod-networkpolicy',
    // A broker's or Grafana's port answers, or it does not: there are no two questions.
    'pod-probes-identical',
    // One Service for each broker, by a label that the cluster gives to pods.
    'service-targets-pod',
    // One pod, which nobody calls by its name.
    'statefulset-has-servicename',
  ],
}

let folder: string
let locations: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-charts-'))
  locations = await schemas()
  for (const name of ['helm3', 'helm4', 'kubeconform', 'kube-score'] as const) await program(name)
}, 600_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(valueSets)('$name', ({ name, chart, file }) => {
  test.each(['helm3', 'helm4'] as const)('%s lints it', async (helm) => {
    expect(await lint(helm, chart, file)).toContain('1 chart(s) linted, 0 chart(s) failed')
  })

  test('has no field that Kubernetes or a custom resource does not know', async () => {
    const rendered = join(folder, `${name}.yaml`)
    await writeFile(rendered, await renderText(chart, { files: [file] }))
    const where = locations.flatMap((location) => ['-schema-location', location])
    const said = await run('kubeconform', ['-strict', '-output', 'json', '-summary', ...where, rendered])
    const { resources, summary } = JSON.parse(said) as { resources?: object[]; summary: Record<string, number> }
    expect(resources ?? []).toEqual([])
    expect(summary).toMatchObject({ invalid: 0, errors: 0, skipped: 0 })
    expect(summary['valid']).toBeGreaterThan(5)
  })

  test('kube-score finds nothing critical', async () => {
    const rendered = join(folder, `score ${name}.yaml`)
    await writeFile(rendered, await renderText(chart, { files: [file] }))
    const ignored = IGNORED[chart].flatMap((check) => ['--ignore-test', check])
    const said = await run('kube-score', ['score', '--output-format', 'ci', ...ignored, rendered])
    expect(said.split('\n').filter((line) => line.startsWith('[CRITICAL]'))).toEqual([])
    expect(said).toContain('[OK]')
  })
})

/** What it printed: both programs fail for warnings, too. */
async function run(name: 'kubeconform' | 'kube-score', args: string[]): Promise<string> {
  const command = await program(name)
  return new Promise((resolve) =>
    execFile(command, args, { maxBuffer: 64 << 20 }, (_, stdout, stderr) => resolve(stdout || stderr)),
  )
}
