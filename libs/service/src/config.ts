import { z } from 'zod'
import { readFailpoints } from './failpoints.ts'

/** Every fault of a service's settings, told at once before anything starts. */
export class ConfigError extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(
      `${faults.length === 1 ? 'one setting is' : `${faults.length} settings are`} wrong:\n  ${faults.join('\n  ')}`,
    )
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** A number in the environment. */
const number = (min: number, max: number, fallback: number): z.ZodDefault<z.ZodPipe<z.ZodString, z.ZodType<number>>> =>
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/, 'is not a number')
    .pipe(z.transform(Number).pipe(z.number().min(min).max(max)))
    .default(fallback) as never

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== ''),
)

const failpoints = z
  .string()
  .default('')
  .transform((text, context) => {
    try {
      return readFailpoints(text)
    } catch (error) {
      context.addIssue((error as Error).message)
      return z.NEVER
    }
  })

export const setting = { number, list }

export const commonSettings = {
  HOST: z.string().min(1).default('0.0.0.0'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  BUILD_VERSION: z.string().default('dev'),
  /** For tests: see failpoints.ts. */
  FAILPOINTS: failpoints,
}

export const databaseSettings = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'is not a URL of the form postgres://user:password@host:port/database'),
  DATABASE_POOL: number(1, 100, 8),
}

export const kafkaSettings = {
  KAFKA_BROKERS: list.refine((brokers) => brokers.length > 0 && brokers.every((each) => /^[^:\s]+:\d+$/.test(each)), {
    message: 'is not a list of host:port',
  }),
  KAFKA_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9._-]{0,100}$/, 'has other characters than A-Z a-z 0-9 . _ -')
    .default(''),
}

/**
 * Reads a service's settings from the environment by its schema, whose keys are the variables' names. An empty variable
 * counts as one that is not there. @throws ConfigError that names every fault.
 */
export function loadConfig<S extends z.ZodObject>(
  schema: S,
  env: NodeJS.ProcessEnv = process.env,
): Readonly<z.output<S>> {
  const given = Object.fromEntries(Object.keys(schema.shape).flatMap((key) => (env[key] ? [[key, env[key]]] : [])))
  const result = schema.safeParse(given)
  if (result.success) return Object.freeze(result.data)
  throw new ConfigError(
    result.error.issues.map((issue) => {
      const key = String(issue.path[0] ?? '')
      if (given[key] === undefined) return `${key} is not set`
      // What is given may hold a password: only its name is told where it may.
      const secret = /URL|PASSWORD|SECRET|KEY/.test(key)
      return secret ? `${key} ${issue.message}` : `${key} ${issue.message} (it is ${JSON.stringify(given[key])})`
    }),
  )
}
