import { statfs } from 'node:fs/promises'
import { findJava } from '@rates/local/java'
import { ConfigError, loadConfig } from '@rates/service/config'
import { platformSettings } from '@rates/service/platform-settings'
import { root } from '../home.ts'
import { megabytes } from '../progress.ts'
import { Findings, type Finding } from './finding.ts'

const ROOM = 5e9
const LEAST_ROOM = 1e9
const OLDEST_NODE = 24

export interface MachineFacts {
  node: string
  /** Undefined: of no use here, since Kafka runs elsewhere. */
  java: string | false | undefined
  /** Bytes free where data and logs of a local platform are. */
  free: number
}

export async function askMachine(kafkaIsLocal: boolean): Promise<MachineFacts> {
  const space = await statfs(root)
  const java = kafkaIsLocal ? ((await findJava()) ?? false) : undefined
  return { node: process.versions.node, java, free: space.bavail * space.bsize }
}

export function judgeMachine({ node, java, free }: MachineFacts): Finding[] {
  const findings = new Findings('this machine')
  findings.judge('Node', node, [
    'fault',
    Number(node.split('.')[0]) < OLDEST_NODE,
    'Start "rates" by npm or npx, which bring Node 24.',
  ])
  if (java !== undefined) {
    findings.judge('Java', java === false ? 'none of version 17 or newer' : java, [
      'warning',
      java === false,
      'Kafka needs it at the next npm start: install a JDK, or set KAFKA_BROKERS to a broker elsewhere.',
    ])
  }
  findings.judge(
    'disk',
    `${megabytes(free)} free`,
    ['fault', free < LEAST_ROOM, 'Make room: a full disk stops PostgreSQL and Kafka.'],
    ['warning', free < ROOM, 'Make room before it is full.'],
  )
  return findings.all
}

/** What the services would say of these settings when they start. */
export function judgeSettings(env: NodeJS.ProcessEnv): Finding[] {
  const findings = new Findings('settings')
  const shown = (key: keyof typeof platformSettings.shape): void => {
    const value = env[key]
    if (value) findings.ok(key, key === 'DATABASE_URL' ? withoutPassword(value) : value)
  }
  try {
    loadConfig(platformSettings, env)
    for (const key of ['DATABASE_URL', 'KAFKA_BROKERS', 'KAFKA_PREFIX', 'RATES_URL', 'LEDGER_RETENTION_DAYS'] as const)
      shown(key)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const fault of error.faults) {
      const [key] = fault.split(' ')
      findings.fault(
        key!,
        fault.slice(key!.length + 1),
        '"npm start" runs a platform that needs no settings; for one elsewhere see the README\'s table.',
      )
    }
  }
  return findings.all
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  if (url.password !== '') url.password = '***'
  return url.href
}
