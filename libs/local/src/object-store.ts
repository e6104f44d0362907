import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { exists } from './cache.ts'
import { anyFreePort, nextFreePort } from './ports.ts'
import { endOrphans, type Exit, type LoggedProcess, spawnLogged } from './processes.ts'
import { answersWell, untilReady } from './readiness.ts'
import { findVersitygw } from './versitygw.ts'

const startDeadlineMs = 30_000
const stopDeadlineMs = 10_000
/** No bucket can have this name. */
const readyPath = '/-/ready'

export interface ObjectStoreOptions {
  /** Where the objects are kept, each a file of its own in `objects`, in the folder of its bucket. */
  dir: string
  accessKey: string
  /** It goes to the server by its environment. */
  secretKey: string
  /** The port wanted; the next free one where it is taken. 0: any. */
  port?: number
  /** By which it is reached; where it is not 127.0.0.1, the store listens on all addresses. */
  host?: string
  region?: string
  /** Are there from the start on. Others are made by those who need them. */
  buckets?: readonly string[]
  /**
   * Tells of every object that is created, in a topic, which must be there. The store knows one address of the brokers,
   * host:port, and neither TLS nor a login. Its first record is one without objects, and it waits for no record: what
   * happens while the brokers are away for long is not told.
   */
  events?: { broker: string; topic: string } | undefined
  /** The program; by default as `requireVersitygw` has it. */
  program?: string | undefined
  /** Where it writes its log; by default beside the data. */
  log?: string
  /** More of the program's flags. */
  extra?: readonly string[]
  onProgress?: (note: string) => void
}

export interface RunningObjectStore {
  url: string
  port: number
  region: string
  accessKeyId: string
  secretAccessKey: string
  pid: number
  exited: Promise<Exit>
  stop(): Promise<void>
}

/** Starts an object store on the folder, which is made at the first start. */
export async function startObjectStore(options: ObjectStoreOptions): Promise<RunningObjectStore> {
  const { host = '127.0.0.1', region = 'us-east-1', buckets = [], onProgress = () => undefined } = options
  const program = await findVersitygw(options.program, options.onProgress)
  const dir = resolve(options.dir)
  const log = options.log ?? `${dir}.log`
  for (const folder of ['', ...buckets]) await mkdir(join(objectsOf(dir), folder), { recursive: true })
  if (await recover(dir)) onProgress('ended the object store that a killed run had left')
  await writeFile(eventsFile(dir), JSON.stringify({ 's3:ObjectCreated:*': true }))
  for (let attempt = 1; ; attempt++) {
    const port = options.port === 0 ? await anyFreePort() : await nextFreePort(options.port ?? 7070)
    if (options.port && port !== options.port) {
      onProgress(`port ${options.port} is taken: the object store listens on ${port}`)
    }
    const outcome = await tryStart(program, { ...options, dir, host, region, log, port })
    if ('server' in outcome) {
      const { pid, exited, stop } = outcome.server
      return {
        url: `http://${host}:${port}`,
        port,
        region,
        accessKeyId: options.accessKey,
        secretAccessKey: options.secretKey,
        pid,
        exited,
        stop: async () => void (await stop('SIGTERM', stopDeadlineMs)),
      }
    }
    // Where the file system has no attributes, tags and types go beside the objects, and outlive them when these are
    // written over: hence not everywhere.
    if (outcome.said.includes('xattr check failed') && !(await exists(metaOf(dir)))) {
      await mkdir(metaOf(dir))
    } else if (attempt === 3 || !outcome.said.includes('address already in use')) {
      throw new Error(`the object store did not start (all of it: ${log}):\n${outcome.said}`)
    }
  }
}

const objectsOf = (dir: string): string => join(dir, 'objects')
const metaOf = (dir: string): string => join(dir, 'meta')
const eventsFile = (dir: string): string => join(dir, 'events.json')

type Place = Required<Pick<ObjectStoreOptions, 'dir' | 'host' | 'port' | 'region' | 'log'>> & ObjectStoreOptions

async function tryStart(program: string, place: Place): Promise<{ server: LoggedProcess } | { said: string }> {
  const { dir, host, port, region, log, events, extra = [] } = place
  const told = events === undefined ? [] : ['--event-kafka-url', events.broker, '--event-kafka-topic', events.topic]
  const listen = ['--port', host === '127.0.0.1' ? `${host}:${port}` : `:${port}`]
  const how = ['--region', region, '--health', readyPath, '--quiet', ...told, ...extra]
  const beside = (await exists(metaOf(dir))) ? ['--sidecar', metaOf(dir)] : []
  const args = ['--event-filter', eventsFile(dir), ...listen, ...how, 'posix', ...beside, objectsOf(dir)]
  const keys = { ROOT_ACCESS_KEY_ID: place.accessKey, ROOT_SECRET_ACCESS_KEY: place.secretKey }
  const server = await spawnLogged(program, args, { log, cwd: dir, env: { PATH: process.env['PATH'], ...keys } })
  return untilReady(server, () => answersWell(`http://127.0.0.1:${port}${readyPath}`), {
    startDeadlineMs,
    stopDeadlineMs,
  })
}

/** Ends the one that a killed run left on the folder. */
async function recover(dir: string): Promise<boolean> {
  return (await endOrphans([objectStoreMark(dir)], 'SIGTERM', stopDeadlineMs)) > 0
}

/** On the command line of the store that works on the folder, and of no other. */
export const objectStoreMark = (dir: string): string => ` --event-filter ${eventsFile(resolve(dir))} `

/** Forgets the data, which nobody may be using. */
export async function forgetObjectStore(dir: string): Promise<void> {
  await recover(resolve(dir))
  await rm(resolve(dir), { recursive: true, force: true })
}
