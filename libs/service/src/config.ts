import { X509Certificate } from 'node:crypto'
import { urlToHttpOptions } from 'node:url'
import { parseIntoClientConfig } from 'pg-connection-string'
import { z } from 'zod'
import { databaseAddress } from './database-address.ts'
import { readFailpoints } from './failpoints.ts'
import { freshFile } from './fresh-file.ts'
import { SASL_MECHANISMS } from './kafka-security.ts'

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

const truth = z
  .enum(['true', 'false'], 'is neither true nor false')
  .transform((text) => text === 'true')
  .default(false)

/** A file's path; for what the file holds see fresh-file.ts. */
const secretFile = z.string().superRefine((path, context) => complain(context, fileFault(path)))

/** A file whose content has to pass a check. @param rule what is told of one that throws */
const checkedFile = (check: (text: string) => unknown, rule: string): z.ZodString =>
  z.string().superRefine((path, context) => complain(context, fileFault(path, { check, rule })))

/** A PEM file of one or more certificates. */
const caFile = checkedFile((text) => new X509Certificate(text), 'is a file without a certificate in PEM')

const httpUrl = z.string().refine((url) => isHttpUrl(url), 'is not a URL of http or https')

/** Precedes the paths of links. */
const publicUrl = z
  .string()
  .regex(/^https?:\/\//, 'is not a URL of http or https')
  .transform((url) => url.replace(/\/+$/, ''))
  .default('')

/** Node takes the login out of a URL by itself, and throws at one that is not encoded well. */
function isHttpUrl(text: string): boolean {
  try {
    return /^https?:$/.test(urlToHttpOptions(new URL(text)).protocol ?? '')
  } catch {
    return false
  }
}

function complain(context: z.RefinementCtx, fault: string | undefined): void {
  if (fault !== undefined) context.addIssue(fault)
}

function fileFault(path: string, must?: { check: (text: string) => unknown; rule: string }): string | undefined {
  let text: string
  try {
    text = freshFile(path)()
  } catch (error) {
    return `is a file that cannot be read: ${(error as NodeJS.ErrnoException).code}`
  }
  if (text === '') return 'is an empty file'
  try {
    must?.check(text)
  } catch {
    return must?.rule
  }
  return undefined
}

export const setting = { number, list, truth, secretFile, caFile, checkedFile, httpUrl, publicUrl }

export const commonSettings = {
  HOST: z.string().min(1).default('0.0.0.0'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  BUILD_VERSION: z.string().default('dev'),
  BUILD_COMMIT: z.string().default('unknown'),
  /** For tests: see failpoints.ts. */
  FAILPOINTS: failpoints,
}

/**
 * The password may stand in a file of its own, which is read anew at each new connection, and so is a CA's certificate.
 * loadConfig() gives DATABASE_URL with both in it: see database-address.ts.
 */
export const databaseSettings = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'is not a URL of the form postgres://user:password@host:port/database')
    .refine((url) => readUrl(url) !== undefined, 'cannot be read as a URL'),
  DATABASE_PASSWORD_FILE: secretFile.optional(),
  /** Turns on TLS: the server's certificate has to be by this CA and for its host name. */
  DATABASE_CA_FILE: caFile.optional(),
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
  KAFKA_TLS: truth,
  /** Turns on TLS: brokers' certificates have to be by this CA. */
  KAFKA_CA_FILE: caFile.optional(),
  KAFKA_SASL_MECHANISM: z.enum(SASL_MECHANISMS, `is none of ${SASL_MECHANISMS.join(', ')}`).optional(),
  KAFKA_USERNAME: z.string().optional(),
  KAFKA_PASSWORD: z.string().optional(),
  KAFKA_PASSWORD_FILE: secretFile.optional(),
}

/** Of an object store (S3), whose client open-object-store.ts makes. */
export const objectStoreSettings = {
  /** Of a store that is not Amazon's: its buckets are asked for by path. */
  S3_ENDPOINT: httpUrl.optional(),
  S3_REGION: z.string().default('us-east-1'),
  /** In files, as a rotation changes both. Without them it is asked as Amazon's own programs ask: as the workload itself. */
  S3_ACCESS_KEY_ID_FILE: secretFile.optional(),
  S3_SECRET_ACCESS_KEY_FILE: secretFile.optional(),
  /** The store's certificate has to be by this CA. */
  S3_CA_FILE: caFile.optional(),
}

const readUrl = (url: string): ReturnType<typeof parseIntoClientConfig> | undefined => {
  try {
    return parseIntoClientConfig(url)
  } catch {
    return undefined
  }
}

/** What is wrong with settings together that are right each by itself. */
function contradictions(given: Readonly<Record<string, string | undefined>>): string[] {
  const faults: string[] = []
  const check = (wrong: unknown, fault: string): void => void (wrong && faults.push(fault))
  const url = given['DATABASE_URL']
  check(
    given['DATABASE_PASSWORD_FILE'] && url && readUrl(url)?.password,
    'DATABASE_URL has a password, and DATABASE_PASSWORD_FILE another',
  )
  check(
    given['DATABASE_CA_FILE'] && url && /[?&]ssl/.test(url),
    'DATABASE_URL says how to use TLS (ssl...), and DATABASE_CA_FILE, too',
  )
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username } = given
  const passwords = ['KAFKA_PASSWORD', 'KAFKA_PASSWORD_FILE'].filter((name) => given[name] !== undefined)
  const login = mechanism ?? username ?? passwords[0]
  check(given['KAFKA_TLS'] === 'false' && given['KAFKA_CA_FILE'], 'KAFKA_TLS is false, and KAFKA_CA_FILE turns TLS on')
  check(login && !mechanism, 'KAFKA_SASL_MECHANISM is not set, but other settings of the login are')
  check(login && !username, 'KAFKA_USERNAME is not set, but other settings of the login are')
  check(
    login && passwords.length === 0,
    'neither KAFKA_PASSWORD nor KAFKA_PASSWORD_FILE is set, but others of the login',
  )
  check(passwords.length === 2, 'KAFKA_PASSWORD and KAFKA_PASSWORD_FILE are both set')
  const [hasId, hasSecret] = [given['S3_ACCESS_KEY_ID_FILE'], given['S3_SECRET_ACCESS_KEY_FILE']]
  check(hasId && !hasSecret, 'S3_ACCESS_KEY_ID_FILE is set, and S3_SECRET_ACCESS_KEY_FILE is not')
  check(hasSecret && !hasId, 'S3_SECRET_ACCESS_KEY_FILE is set, and S3_ACCESS_KEY_ID_FILE is not')
  check(
    given['S3_CA_FILE'] && given['S3_ENDPOINT']?.startsWith('http:'),
    'S3_CA_FILE is set, and S3_ENDPOINT is without TLS (http)',
  )
  check(
    given['WEBHOOK_SECRET_FILE'] && !given['WEBHOOK_URL'],
    'WEBHOOK_SECRET_FILE is set, and WEBHOOK_URL, whose requests it signs, is not',
  )
  return faults
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
  const faults = [...(result.error?.issues.map((issue) => inWords(issue, given)) ?? []), ...contradictions(given)]
  if (faults.length > 0 || !result.success) throw new ConfigError(faults)
  const { DATABASE_URL: url, DATABASE_PASSWORD_FILE: password, DATABASE_CA_FILE: ca } = given
  const address = url === undefined ? {} : { DATABASE_URL: databaseAddress(url, { password, ca }) }
  return Object.freeze({ ...result.data, ...address })
}

function inWords(issue: z.core.$ZodIssue, given: Readonly<Record<string, string>>): string {
  const key = String(issue.path[0] ?? '')
  if (given[key] === undefined) return `${key} is not set`
  // What is given may hold a password: only its name is told where it may.
  const secret = /URL|PASSWORD|SECRET|KEY/.test(key) && !key.endsWith('_FILE')
  return secret ? `${key} ${issue.message}` : `${key} ${issue.message} (it is ${JSON.stringify(given[key])})`
}
