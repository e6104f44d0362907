import { Ajv } from 'ajv'

// The part of Skaffold's configuration (skaffold/v4beta13) that skaffold.yaml uses: Skaffold refuses what it does not know,
// and is not on every machine that runs the tests.

const text = { type: 'string' }
const flag = { type: 'boolean' }
const list = (items: object) => ({ type: 'array', items })
const one = (properties: Record<string, object>, ...required: string[]) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const scalars = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } }

const hook = one({ container: one({ command: list(text) }, 'command') }, 'container')
const artifact = one(
  {
    image: text,
    docker: one({ dockerfile: text, target: text }),
    sync: one({
      manual: list(one({ src: text, dest: text, strip: text }, 'src', 'dest')),
      hooks: one({ before: list(hook), after: list(hook) }),
    }),
  },
  'image',
)
const build = one({
  local: one({ push: flag, useBuildkit: flag, concurrency: { type: 'integer' } }),
  tagPolicy: one({ inputDigest: one({}) }),
  artifacts: list(artifact),
})
const release = one(
  {
    name: text,
    chartPath: text,
    namespace: text,
    createNamespace: flag,
    wait: flag,
    valuesFiles: list(text),
    setValues: scalars,
    setValueTemplates: { type: 'object', additionalProperties: text },
  },
  'name',
)
const deploy = one({ helm: one({ releases: list(release) }) })
const number = { type: 'integer' }
const portForward = list(
  one({ resourceType: text, resourceName: text, namespace: text, port: number, localPort: number }),
)
const patch = one({ op: { enum: ['add', 'remove', 'replace'] }, path: text, value: {} }, 'path')
const activation = list(one({ command: { enum: ['dev', 'run', 'debug', 'deploy', 'build'] } }))
const profile = one({ name: text, activation, build, deploy, portForward, patches: list(patch) }, 'name')

const isSkaffold = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(
  one(
    {
      apiVersion: { const: 'skaffold/v4beta13' },
      kind: { const: 'Config' },
      metadata: one({ name: text }),
      build,
      deploy,
      portForward,
      profiles: list(profile),
    },
    'apiVersion',
    'kind',
  ),
)

/** In words; none where all is well. */
export function skaffoldFaults(config: unknown): string[] {
  if (isSkaffold(config)) return []
  return isSkaffold.errors!.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`)
}
