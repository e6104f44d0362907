// JSON schemas for kubeconform out of what Kubernetes publishes. Fields that no schema names are refused: a misspelt one
// would be dropped by an API server in silence.

export type Json = { [key: string]: Json } & Record<string, unknown>

const prefix = '#/definitions/'

/** One schema for each kind of Kubernetes' OpenAPI document, by kubeconform's name for it: deployment-apps-v1. */
export function kindSchemas(openApi: Json): Map<string, unknown> {
  const definitions = openApi['definitions']!
  const schemas = new Map<string, unknown>()
  for (const [name, definition] of Object.entries(definitions)) {
    const kinds = (definition['x-kubernetes-group-version-kind'] ?? []) as unknown as KindOf[]
    if (kinds.length !== 1) continue // DeleteOptions and the like belong to every group and are in no manifest
    const used = Object.fromEntries([...reachable(name, definitions)].map((each) => [each, strict(definitions[each]!)]))
    schemas.set(fileName(kinds[0]!), { $ref: prefix + name, definitions: used })
  }
  return schemas
}

interface KindOf {
  group: string
  version: string
  kind: string
}

function fileName({ group, version, kind }: KindOf): string {
  return [kind, group.split('.')[0], version]
    .filter((part) => part)
    .join('-')
    .toLowerCase()
}

function reachable(name: string, definitions: Json, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found
  found.add(name)
  for (const [, next] of JSON.stringify(definitions[name]).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) {
    reachable(next!, definitions, found)
  }
  return found
}

/** The schemas of a CustomResourceDefinition, one a version. */
export function resourceSchemas(definition: Json): { group: string; name: string; schema: unknown }[] {
  const { group, names, versions } = definition['spec'] as unknown as {
    group: string
    names: { kind: string }
    versions: { name: string; schema: { openAPIV3Schema: Json } }[]
  }
  return versions.map(({ name, schema }) => ({
    group,
    name: `${names.kind.toLowerCase()}_${name}`,
    schema: strict(schema.openAPIV3Schema),
  }))
}

/** The same schema without fields that it does not name, and with the two kinds of text that may be numbers, too. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict)
  if (typeof schema !== 'object' || schema === null) return schema
  const { format, ...rest } = schema as Json
  if (String(format) === 'int-or-string' || 'x-kubernetes-int-or-string' in rest) return { type: ['string', 'number'] }
  if (String(rest['description'] ?? '').startsWith('Quantity is a fixed-point')) return { type: ['string', 'number'] }
  const made: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(rest)) if (key !== 'description') made[key] = strict(value)
  // A property may be called description.
  if ('properties' in rest) {
    made['properties'] = Object.fromEntries(Object.entries(rest['properties']!).map(([k, v]) => [k, strict(v)]))
    if (!('additionalProperties' in rest) && !('x-kubernetes-preserve-unknown-fields' in rest)) {
      made['additionalProperties'] = false
    }
  }
  return made
}
