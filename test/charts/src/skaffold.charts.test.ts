import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { valueAt } from './documented-values.ts'
import { program } from './programs.ts'
import { type Manifest, parseManifests } from './render.ts'
import { kubernetesVersion } from './schemas.ts'
import { applyProfile, type Release, type Skaffold } from './skaffold.ts'
import { skaffoldFaults } from './skaffold-schema.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const read = <T>(file: string): T => parse(readFileSync(join(root, file), 'utf8')) as T

const skaffold = read<Skaffold>('skaffold.yaml')
const profiles = ['', ...skaffold.profiles.map(({ name }) => name)]
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')

beforeAll(() => program('helm3'), 600_000)

it('has only fields that Skaffold knows', () => {
  expect(skaffoldFaults(skaffold)).toEqual([])
  const misspelt = { ...skaffold, build: { ...skaffold.build, artefacts: [] } }
  expect(skaffoldFaults(misspelt).join()).toContain('artefacts')
})

describe.each(profiles)('profile %p', (name) => {
  const config = applyProfile(skaffold, name)
  const images = config.build.artifacts.map(({ image }) => image)

  it('builds targets that the Dockerfile has', () => {
    for (const { docker } of config.build.artifacts) {
      expect(existsSync(join(root, docker.dockerfile))).toBe(true)
      expect(dockerfile).toMatch(new RegExp(`^FROM \\S+ AS ${docker.target}$`, 'm'))
    }
  })

  it('installs charts that are there, with values that they have', () => {
    for (const release of config.deploy.helm.releases) {
      const defaults = read(join(release.chartPath, 'values.yaml'))
      for (const file of release.valuesFiles) expect(existsSync(join(root, file))).toBe(true)
      for (const path of [...Object.keys(release.setValues), ...Object.keys(release.setValueTemplates ?? {})]) {
        expect([path, valueAt(defaults, path)]).not.toEqual([path, undefined])
      }
    }
  })

  it('installs the images that it builds, and the charts accept it all', async () => {
    const [dev, rates] = await Promise.all(config.deploy.helm.releases.map((release) => render(release, images)))
    const used = [...imagesOf(rates!)].filter((image) => image.endsWith(':built'))
    expect(used.sort()).toEqual(images.map((image) => `${image}:built`).sort())
    // Each reads what the other makes.
    const names = new Set(dev!.map(({ kind, metadata }) => `${kind}/${metadata.name}`))
    expect([...names]).toEqual(expect.arrayContaining(['Secret/rates-dev-postgres', 'Service/rates-dev-kafka']))
  })

  it('forwards to services that are there', async () => {
    const releases = applyProfile(applyProfile(skaffold, 'monitoring'), name).deploy.helm.releases
    const manifests = (await Promise.all(releases.map((release) => render(release, images)))).flat()
    for (const { resourceName, port } of config.portForward ?? []) {
      const service = manifests.find(({ kind, metadata }) => kind === 'Service' && metadata.name === resourceName)
      const ports = (service?.['spec'] as { ports: { port: number }[] } | undefined)?.ports.map((each) => each.port)
      expect([resourceName, ports]).toEqual([resourceName, expect.arrayContaining([port])])
    }
  })
})

it('copies into pods only where it may, and compiles with what is in the image', () => {
  const config = applyProfile(skaffold, 'dev')
  const [, rates] = config.deploy.helm.releases
  expect(rates!.setValues['podSecurity.readOnlyRootFilesystem']).toBe(false)
  expect(applyProfile(skaffold, '').deploy.helm.releases[1]!.setValues).not.toHaveProperty(
    'podSecurity.readOnlyRootFilesystem',
  )
  for (const { docker, sync } of config.build.artifacts) {
    const script = sync!.hooks.after[0]!.container.command.at(-1)!
    expect(existsSync(join(root, script))).toBe(true)
    expect(dockerfile.split(`AS ${docker.target}\n`)[1]!.split(/^FROM /m)[0]).toContain(script)
  }
})

/** As Skaffold would, but without a cluster, where passwords cannot be kept. */
async function render(release: Release, images: string[]): Promise<Manifest[]> {
  const values = { ...release.setValues, ...fill(release.setValueTemplates ?? {}, images) }
  if (release.name === 'rates-dev') Object.assign(values, { 'postgres.password': 'any' })
  const sets = Object.entries(values).flatMap(([path, value]) => ['--set', `${path}=${value}`])
  const files = release.valuesFiles.flatMap((file) => ['-f', file])
  const args = ['template', release.name, release.chartPath, '-n', release.namespace]
  args.push('--kube-version', kubernetesVersion, ...files, ...sets)
  return parseManifests((await run(await program('helm3'), args, { cwd: root, maxBuffer: 1e8 })).stdout)
}

/** Skaffold's variables for each image that it has built: {{.IMAGE_REPO_rates_ingest}}. */
function fill(templates: Record<string, string>, images: string[]): Record<string, string> {
  const variables = new Map<string, string>(
    images.flatMap((image) => {
      const name = image.replace(/[^a-zA-Z0-9]/g, '_')
      return [
        [`{{.IMAGE_REPO_${name}}}`, image],
        [`{{.IMAGE_TAG_${name}}}`, 'built'],
      ] as const
    }),
  )
  return Object.fromEntries(
    Object.entries(templates).map(([path, template]) => {
      const value = variables.get(template)
      if (value === undefined) throw new Error(`${path}: no image gives ${template}`)
      return [path, value]
    }),
  )
}

function imagesOf(manifests: Manifest[]): Set<string> {
  const found = [...JSON.stringify(manifests).matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image!)
  return new Set(found)
}
