import { describe, expect, it } from '@jest/globals'
import { Ajv, type AnySchema } from 'ajv'
import { type Json, kindSchemas, resourceSchemas } from './openapi.ts'

const ajv = new Ajv({ strict: false, allowUnionTypes: true })
const accepts = (schema: unknown, value: unknown) => ajv.validate(schema as AnySchema, value)

describe('schemas of Kubernetes’ kinds', () => {
  const openApi = {
    definitions: {
      Deployment: {
        type: 'object',
        properties: { spec: { $ref: '#/definitions/Spec' } },
        'x-kubernetes-group-version-kind': [{ group: 'apps', version: 'v1', kind: 'Deployment' }],
      },
      Spec: {
        type: 'object',
        properties: {
          surge: { type: 'string', format: 'int-or-string' },
          cpu: { $ref: '#/definitions/Quantity' },
          description: { type: 'string' },
          labels: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
      Quantity: { type: 'string', description: 'Quantity is a fixed-point representation of a number.' },
      Policy: {
        type: 'object',
        'x-kubernetes-group-version-kind': [{ group: 'networking.k8s.io', version: 'v1', kind: 'NetworkPolicy' }],
      },
    },
  } as unknown as Json
  const schemas = kindSchemas(openApi)
  const deployment = schemas.get('deployment-apps-v1')

  it('have the names that kubeconform asks for', () => {
    expect([...schemas.keys()]).toEqual(['deployment-apps-v1', 'networkpolicy-networking-v1'])
  })

  it('refuse fields that are not there, at any depth', () => {
    expect(accepts(deployment, { spec: { description: 'x', labels: { any: 'x' } } })).toBe(true)
    expect(accepts(deployment, { spek: {} })).toBe(false)
    expect(accepts(deployment, { spec: { descripton: 'x' } })).toBe(false)
  })

  it('take numbers where Kubernetes does, and only there', () => {
    expect(accepts(deployment, { spec: { surge: 1, cpu: 0.5 } })).toBe(true)
    expect(accepts(deployment, { spec: { surge: '25%', cpu: '500m' } })).toBe(true)
    expect(accepts(deployment, { spec: { description: 1 } })).toBe(false)
  })
})

it('makes a schema of each version of a custom resource', () => {
  const schema = (field: string, more = {}) => ({
    schema: { openAPIV3Schema: { type: 'object', properties: { [field]: { type: 'string' } }, ...more } },
  })
  const made = resourceSchemas({
    spec: {
      group: 'keda.sh',
      names: { kind: 'ScaledObject' },
      versions: [
        { name: 'v1alpha1', ...schema('a') },
        { name: 'v1', ...schema('b', { 'x-kubernetes-preserve-unknown-fields': true }) },
      ],
    },
  } as unknown as Json)
  expect(made.map(({ group, name }) => `${group}/${name}`)).toEqual([
    'keda.sh/scaledobject_v1alpha1',
    'keda.sh/scaledobject_v1',
  ])
  expect(made.map((each) => accepts(each.schema, { b: 'x' }))).toEqual([false, true])
})
