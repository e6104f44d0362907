import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { alone, telling } from '@rates/local/alone'
import { cached } from '@rates/local/cache'
import { Missing } from '@rates/local/java'
import { parse } from 'yaml'
import { type Json, kindSchemas, resourceSchemas } from './openapi.ts'

/** Of this version are the fields that there are. */
export const kubernetesVersion = '1.34.4'

/** The modules whose custom resources the charts can make. */
const resourceModules = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    folder: 'example/prometheus-operator-crd',
  },
  { module: 'github.com/kedacore/keda/v2@v2.21.0', folder: 'config/crd/bases' },
  { module: 'sigs.k8s.io/gateway-api@v1.4.0', folder: 'config/crd/standard' },
]

const run = promisify(execFile)
let known: Promise<string[]> | undefined

/**
 * The values of kubeconform's -schema-location: Kubernetes' own kinds, then the custom ones, all without fields that
 * nobody knows. They are made from what the Go modules carry and kept in the user's cache.
 */
export function schemas(): Promise<string[]> {
  return (known ??= make())
}

async function make(): Promise<string[]> {
  const own = await alone('schemas', () => cached(`schemas/kubernetes-${kubernetesVersion}`, writeKinds))
  const versions = resourceModules.map(({ module }) => module.split('@v')[1]).join('-')
  const custom = await alone('schemas', () => cached(`schemas/resources-${versions}`, writeResources))
  return [
    join(own, '{{ .ResourceKind }}{{ .KindSuffix }}.json'),
    join(custom, '{{ .Group }}', '{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json'),
  ]
}

async function writeKinds(draft: string): Promise<void> {
  const folder = await download(`k8s.io/kubernetes@v${kubernetesVersion}`)
  const openApi = JSON.parse(await readFile(join(folder, 'api/openapi-spec/swagger.json'), 'utf8')) as Json
  for (const [name, schema] of kindSchemas(openApi))
    await writeFile(join(draft, `${name}.json`), JSON.stringify(schema))
}

async function writeResources(draft: string): Promise<void> {
  for (const { module, folder } of resourceModules) {
    const from = join(await download(module), folder)
    for (const file of (await readdir(from)).filter((name) => name.endsWith('.yaml'))) {
      const definition = parse(await readFile(join(from, file), 'utf8')) as Json
      for (const { group, name, schema } of resourceSchemas(definition)) {
        await mkdir(join(draft, group), { recursive: true })
        await writeFile(join(draft, group, `${name}.json`), JSON.stringify(schema))
      }
    }
  }
}

/** The folder of a module's sources. */
async function download(module: string): Promise<string> {
  await run('go', ['version']).catch((cause: unknown) => {
    throw new Missing('Go is missing, which fetches the schemas of Kubernetes (https://go.dev/dl)', { cause })
  })
  return telling(`downloading ${module} (once)`, async () => {
    const { stdout } = await run('go', ['mod', 'download', '-json', module])
    return (JSON.parse(stdout) as { Dir: string }).Dir
  })
}
