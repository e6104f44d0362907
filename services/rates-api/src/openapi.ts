import { z } from 'zod'
import { type Answer, type RouteDescription } from './route.ts'
import { problemSchema } from './schemas.ts'

type Json = Record<string, unknown>

/** What any route may answer besides its own. */
const anyRoute: Readonly<Record<number, Answer>> = {
  500: { description: 'A fault of the service.', schema: problemSchema },
  503: { description: 'The database cannot be reached, or the service is stopping; try again.', schema: problemSchema },
}

/** A format says enough; zod's patterns of dates are for machines. */
const override = ({ jsonSchema }: { jsonSchema: { format?: unknown; pattern?: unknown } }): void => {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern
}

/** The OpenAPI 3.1 document of the routes. */
export function openApi(routes: readonly RouteDescription[], version: string, serverUrl: string): Json {
  const components = z.registry<{ id: string }>()
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    ;(paths[path] ??= {})[route.method.toLowerCase()] = operation(route, components)
  }
  const { schemas } = z.toJSONSchema(components, { uri: (id) => `#/components/schemas/${id}`, io: 'output', override })
  for (const schema of Object.values(schemas)) {
    delete schema.$schema
    delete schema.$id
    delete schema['id']
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Rates',
      version,
      description: 'Daily average freight rates between ports and regions, and the batches of prices they are made of.',
    },
    ...(serverUrl === '' ? {} : { servers: [{ url: serverUrl }] }),
    paths,
    components: { schemas },
  }
}

function operation(route: RouteDescription, components: z.core.$ZodRegistry<{ id: string }>): Json {
  const parameters = [
    ...parametersOf(route.params, 'path'),
    ...parametersOf(route.query, 'query'),
    ...parametersOf(route.headers, 'header'),
  ]
  const answers = Object.entries({ ...route.answers, ...anyRoute })
  return {
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body) }),
    responses: Object.fromEntries(answers.map(([status, answer]) => [status, response(answer, components)])),
  }
}

function parametersOf(schema: z.ZodObject | undefined, place: 'path' | 'query' | 'header'): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, each]) => {
    const json = z.toJSONSchema(each as z.ZodType, { io: 'input', unrepresentable: 'any', override })
    delete json.$schema
    const { description, examples, ...rest } = json
    const example = examples?.[0]
    return {
      name,
      in: place,
      required: place === 'path' || !(each as z.ZodType).safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      ...(example === undefined ? {} : { example }),
      schema: rest,
    }
  })
}

function requestBody(body: NonNullable<RouteDescription['body']>): Json {
  const schema = z.toJSONSchema(body.schema ?? z.string(), { io: 'input', override })
  delete schema.$schema
  const content = Object.fromEntries(
    Object.entries(body.contentTypes).map(([type, example]) => [type, { schema, example }]),
  )
  return { description: body.description, required: true, content }
}

function response(answer: Answer, components: z.core.$ZodRegistry<{ id: string }>): Json {
  const types = answer.contentTypes ?? []
  const content: Json = Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }]))
  if (answer.schema !== undefined) {
    const id = z.globalRegistry.get(answer.schema)?.id
    if (id === undefined) throw new Error('a schema of an answer needs an id')
    if (!components.has(answer.schema)) components.add(answer.schema, { id })
    const type = answer.schema === problemSchema ? 'application/problem+json' : 'application/json'
    content[type] = { schema: { $ref: `#/components/schemas/${id}` } }
  }
  const headers = Object.entries(answer.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ])
  return {
    description: answer.description,
    ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}),
    ...(Object.keys(content).length > 0 ? { content } : {}),
  }
}
