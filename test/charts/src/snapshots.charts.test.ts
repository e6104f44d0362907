import { beforeAll, describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { program } from './programs.ts'
import { notes, render, type Manifest } from './render.ts'
import { valueSets } from './value-sets.ts'

beforeAll(async () => {
  for (const name of ['helm3', 'helm4'] as const) await program(name)
}, 600_000)

describe.each(valueSets)('$name', ({ chart, file }) => {
  test('is rendered alike by Helm 3 and 4, as it was before', async () => {
    const manifests = await render(chart, { files: [file], helm: 'helm4' })
    expect(await render(chart, { files: [file], helm: 'helm3' })).toEqual(manifests)
    expect(
      manifests
        .map(shortened)
        .map((each) => stringify(each))
        .join('---\n'),
    ).toMatchSnapshot()
  })

  test('tells whoever installs it', async () => {
    expect(await notes(chart, file)).toMatchSnapshot()
  })
})

/** Rules and dashboards have tests of their own: here counts that they are there. */
function shortened(manifest: Manifest): Manifest {
  const { kind, metadata } = manifest
  if (kind === 'PrometheusRule') {
    const groups = (manifest['spec'] as { groups: { name: string; rules: object[] }[] }).groups
    return { ...manifest, spec: { groups: groups.map(({ name }) => ({ name })) } }
  }
  if (kind === 'ConfigMap' && /-(rules|dashboards)$/.test(metadata.name)) {
    return { ...manifest, data: Object.keys(manifest['data'] as object) }
  }
  const annotations = (manifest['spec'] as { template?: Manifest } | undefined)?.template?.metadata.annotations
  if (annotations?.['checksum/config']) annotations['checksum/config'] = 'of rules and dashboards'
  // Its name changes with every migration.
  return kind === 'Job'
    ? { ...manifest, metadata: { ...metadata, name: metadata.name.replace(/[0-9a-f]{8}$/, '') } }
    : manifest
}
