import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseAllDocuments } from 'yaml'
import { chartOf } from './installation.ts'
import { deleteNamespace, freshNamespace } from './kube.ts'
import { helm, kubectl } from './programs.ts'
import { root } from './settings.ts'

/** What charts find in the cluster, they keep: rendered with a look at a real one, nothing is installed. */
const NAMESPACE = 'rates-kept'

interface Manifest {
  kind: string
  metadata: { name: string }
  data?: Record<string, string>
  spec: { suspend?: boolean; template: { spec: { containers: { image: string }[] } } }
}

beforeAll(() => freshNamespace(NAMESPACE), 240_000)
afterAll(() => deleteNamespace(NAMESPACE), 240_000)

async function render(chart: 'rates' | 'rates-dev', kind: string, ...options: string[]): Promise<Manifest> {
  const text = await helm(['template', chart, chartOf(chart), '-n', NAMESPACE, '--dry-run=server', ...options])
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest | null)
  return manifests.find((each) => each?.kind === kind)!
}

/** As Helm puts it there: what bears no release's name it refuses to touch. */
function apply(chart: string, manifest: Manifest): Promise<string> {
  const annotations = { 'meta.helm.sh/release-name': chart, 'meta.helm.sh/release-namespace': NAMESPACE }
  const metadata = { ...manifest.metadata, annotations }
  return kubectl(['apply', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify({ ...manifest, metadata }) })
}

test('passwords are made once: the same from then on, and what is new is added', async () => {
  const first = await render('rates-dev', 'Secret')
  const made = Object.entries(first.data!)
  expect(made.map(([key]) => key).sort()).toEqual(
    ['api', 'ingest', 'migration', 'postgres', 'reader'].map((user) => `${user}-password`),
  )
  expect(new Set(made.map(([, password]) => password)).size).toBe(5)
  for (const [, password] of made) expect(Buffer.from(password, 'base64').toString()).toMatch(/^\w{24}$/)
  expect((await render('rates-dev', 'Secret')).data).not.toEqual(first.data)

  const { 'reader-password': gone, ...there } = first.data!
  await apply('rates-dev', { ...first, data: there })
  const second = await render('rates-dev', 'Secret')
  expect(second.data).toMatchObject(there)
  expect(second.data!['reader-password']).not.toBe(gone)
  // What somebody says comes first.
  const said = await render('rates-dev', 'Secret', '--set', 'postgres.password=said')
  expect(Buffer.from(said.data!['api-password']!, 'base64').toString()).toBe('said')
})

test('a Job that is there keeps its image, as its pod cannot be changed', async () => {
  const values = ['-f', path.join(root, 'charts/rates/ci/minimal-values.yaml'), '--set']
  const first = await render('rates', 'Job', ...values, 'image.tag=first')
  await apply('rates', { ...first, spec: { ...first.spec, suspend: true } }) // nothing is to run
  const second = await render('rates', 'Job', ...values, 'image.tag=second')
  expect(second).toEqual(first)
  const again = await render('rates', 'Job', ...values, 'image.tag=second,migration.run=2')
  expect(again.metadata.name).not.toBe(first.metadata.name)
  expect(again.spec.template.spec.containers[0]!.image).toBe('rates/rates-api:second')
})
