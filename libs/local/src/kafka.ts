import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { exists } from './cache.ts'
import { findJava } from './java.ts'
import { fetchKafka, requireKafka } from './kafka-jars.ts'
import { anyFreePort, nextFreePort } from './ports.ts'
import { endOrphans, type Exit, type LoggedProcess, spawnLogged } from './processes.ts'
import { untilReady } from './readiness.ts'

const run = promisify(execFile)
const startDeadlineMs = 90_000
const stopDeadlineMs = 15_000
const broker = 'kafka.Kafka'
/** A quick start counts for more here than the last of throughput. */
export const javaFlags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError']
const logFlags = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss',
]

export interface KafkaOptions {
  /** Where the log segments are kept. */
  dir: string
  /** The port wanted; the next free one where it is taken. 0: any. The controller's is the next free one after it. */
  port?: number
  onProgress?: (note: string) => void
  /** More settings, as in server.properties. */
  extra?: Record<string, string> | ((ports: Ports) => Record<string, string>)
  /** Where the broker writes its log; by default beside the data. */
  log?: string
}

export interface RunningKafka {
  /** host:port */
  brokers: string
  port: number
  classpath: string
  java: string
  pid: number
  exited: Promise<Exit>
  stop(): Promise<void>
}

/** Starts a broker that is its own controller (KRaft) on the folder, which is made at the first start. */
export async function startKafka(options: KafkaOptions): Promise<RunningKafka> {
  const { onProgress = () => undefined } = options
  await requireKafka()
  const java = (await findJava()) ?? 'java'
  const classpath = join(await fetchKafka(onProgress), '*')
  const dir = resolve(options.dir)
  const log = options.log ?? `${dir}.log`
  await mkdir(dir, { recursive: true })
  if (await recover(dir)) onProgress('ended the broker that a killed run had left')
  const command = { java, classpath, properties: join(dir, 'server.properties') }
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(options.port)
    if (options.port && ports.broker !== options.port) {
      onProgress(`port ${options.port} is taken: Kafka listens on ${ports.broker}`)
    }
    const extra = typeof options.extra === 'function' ? options.extra(ports) : (options.extra ?? {})
    await writeFile(command.properties, properties(dir, ports, extra))
    if (!(await exists(join(dir, 'data', 'meta.properties')))) {
      onProgress('creating the broker folder')
      await format(command, join(dir, 'data'))
    }
    const outcome = await tryStart(command, dir, ports.broker, log)
    if ('server' in outcome) {
      const { pid, exited, stop } = outcome.server
      return {
        brokers: `127.0.0.1:${ports.broker}`,
        port: ports.broker,
        classpath,
        java,
        pid,
        exited,
        // Not SIGINT: a JVM that was started with it ignored never hears it.
        stop: async () => void (await stop('SIGTERM', stopDeadlineMs)),
      }
    }
    if (attempt === 3) throw new Error(`Kafka did not start (all of it: ${log}):\n${outcome.said}`)
    await sleep(attempt * 500)
  }
}

export interface Ports {
  broker: number
  controller: number
}

async function choosePorts(wanted = 9092): Promise<Ports> {
  if (wanted === 0) return { broker: await anyFreePort(), controller: await anyFreePort() }
  const chosen = await nextFreePort(wanted)
  return { broker: chosen, controller: await nextFreePort(chosen + 1) }
}

/**
 * The quorum is named by controller.quorum.voters, not stored in the folder by `format --standalone`: the controller's
 * port may be another one at the next start. After a kill -9 a new broker waits for the old one's session to end, hence
 * the short session.
 */
function properties(dir: string, ports: Ports, extra: Record<string, string>): string {
  const lines: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://127.0.0.1:${ports.broker},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.broker}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'log.dirs': join(dir, 'data'),
    'auto.create.topics.enable': 'false',
    'num.partitions': '12',
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'message.max.bytes': String(4 * 1024 * 1024), // the dead letters take records of 2 MiB
    'replica.fetch.max.bytes': String(4 * 1024 * 1024),
    'log.retention.hours': '168',
    'log.cleaner.dedupe.buffer.size': String(16 * 1024 * 1024),
    'num.network.threads': '2',
    'num.io.threads': '4',
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
    ...extra,
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

interface Command {
  java: string
  classpath: string
  properties: string
}

/** A random id in Kafka's form; one that starts with a dash would be read as an option. */
function clusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? clusterId() : id
}

/** Formats beside the place and renames, so that a killed format is done again. */
async function format({ java, classpath, properties }: Command, data: string) {
  const id = clusterId()
  await rm(data, { recursive: true, force: true })
  const draft = `${data}.part`
  await rm(draft, { recursive: true, force: true })
  const text = await readFile(properties, 'utf8')
  const drafted = `${properties}.part`
  await writeFile(drafted, text.replace(`log.dirs=${data}\n`, `log.dirs=${draft}\n`))
  const tool = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', drafted]
  await run(java, [...javaFlags, ...logFlags, '-cp', classpath, ...tool]).catch((error: unknown) => {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`Kafka's folder could not be formatted:\n${stderr}${stdout}`, { cause: error })
  })
  await rm(drafted)
  await rename(draft, data)
}

async function tryStart(
  { java, classpath, properties }: Command,
  dir: string,
  port: number,
  log: string,
): Promise<{ server: LoggedProcess } | { said: string }> {
  const server = await spawnLogged(
    java,
    ['-Xmx512m', ...javaFlags, ...logFlags, '-cp', classpath, broker, properties],
    { log, cwd: dir },
  )
  return untilReady(server, () => answers(port), { startDeadlineMs, stopDeadlineMs })
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}

/** Ends the broker that a killed run left on the folder. */
async function recover(dir: string): Promise<boolean> {
  return (await endOrphans([` ${broker} `, join(dir, 'server.properties')], 'SIGTERM', stopDeadlineMs)) > 0
}

/** Forgets the data, which nobody may be using. */
export async function forgetKafka(dir: string): Promise<void> {
  await recover(resolve(dir))
  await rm(resolve(dir), { recursive: true, force: true })
}
