import { Get, HttpCode, Post, Put } from '@nestjs/common'
import { type z } from 'zod'
import { Problem } from './problem.ts'

export interface Answer {
  readonly description: string
  /** Of a JSON body; one with an id (`.meta({ id })`) becomes a component of the document. */
  readonly schema?: z.ZodType
  /** Other than application/json. */
  readonly contentTypes?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** What there is to say of a route, once: it is served, its parameters are read, and it is documented by this. */
export interface RouteDescription {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** With parameters as `:name`. */
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly headers?: z.ZodObject
  readonly body?: {
    readonly description: string
    /** With an example of each. */
    readonly contentTypes: Readonly<Record<string, string | object>>
    /** Of JSON; other bodies are texts. */
    readonly schema?: z.ZodType
  }
  /** By status; the problems that any route may answer with are added. */
  readonly answers: Readonly<Record<number, Answer>>
}

const ROUTE = Symbol('route')
const DECORATORS = { GET: Get, POST: Post, PUT: Put }

/** Serves a method of a controller as the description says. */
export function Route(description: RouteDescription): MethodDecorator {
  return (target, key, descriptor) => {
    DECORATORS[description.method](description.path)(target, key, descriptor)
    HttpCode(200)(target, key, descriptor)
    Reflect.defineMetadata(ROUTE, description, descriptor.value as object)
  }
}

/** The descriptions of all routes of the controllers, in the order in which they are written. */
export function routesOf(controllers: readonly (new (...parts: never[]) => object)[]): RouteDescription[] {
  return controllers.flatMap(({ prototype }) =>
    Object.getOwnPropertyNames(prototype).flatMap((key) => {
      const value: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.value
      const route: unknown = typeof value === 'function' ? Reflect.getMetadata(ROUTE, value) : undefined
      return route === undefined ? [] : [route as RouteDescription]
    }),
  )
}

/** Longer values are refused before anything looks at them; none of ours comes near. */
const MAX_PARAMETER_LENGTH = 1000

/**
 * Reads parameters by their schema. Of a repeated one the first counts, an empty one counts as left out, unknown ones are
 * ignored. @throws Problem that names every fault
 */
export function readParameters<S extends z.ZodObject>(schema: S, given: unknown): z.output<S> {
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(given ?? {})) {
    const first: unknown = Array.isArray(value) ? value[0] : value
    if (typeof first !== 'string' || first === '' || !(name in schema.shape)) continue
    if (first.length > MAX_PARAMETER_LENGTH) throw new Problem(400, `${name} is too long`)
    values[name] = first
  }
  const result = schema.safeParse(values)
  if (result.success) return result.data
  const errors = result.error.issues.map((issue) => ({ parameter: issue.path.join('.'), message: issue.message }))
  const detail = errors.map(({ parameter, message }) => `${parameter}: ${message}`).join('; ')
  throw new Problem(400, detail, { extensions: { errors } })
}
