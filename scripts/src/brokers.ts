import { connect } from 'node:net'
import { kafkaSettings as settings, loadConfig } from '@rates/service/config'
import { type KafkaSettings } from '@rates/service/kafka'
import { type Admin, connectAdmin } from '@rates/service/kafka-admin'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { createLogger } from '@rates/service/log'
import { isTransient } from '@rates/service/transient'
import { z } from 'zod'
import { CommandFailure, EXIT } from './exit.ts'

const CONNECT_MILLISECONDS = 5_000

/**
 * How a command reaches brokers: with TLS and a login where the environment, which names the brokers, says so too. What
 * `npm start` runs lets everybody in. @throws ConfigError
 */
export function kafkaSettings(brokers: string[], clientId: string): KafkaSettings {
  const given = process.env['KAFKA_BROKERS'] ? kafkaSecurity(loadConfig(z.object(settings))) : undefined
  return { brokers, clientId, log: createLogger(clientId, 'silent'), security: given }
}

/**
 * Resolves when any of the brokers takes a connection. Kafka's client would try for half a minute before it says that
 * an address is wrong. @throws CommandFailure
 */
export async function requireBrokers(brokers: readonly string[]): Promise<void> {
  try {
    await Promise.any(brokers.map(tryConnect))
  } catch (error) {
    const faults = (error as AggregateError).errors.map((fault: Error, i) => `${brokers[i]} (${fault.message})`)
    throw new CommandFailure(EXIT.unreachable, `Kafka cannot be reached at ${faults.join(' or ')}.`, error)
  }
}

function tryConnect(broker: string): Promise<void> {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(broker) ?? []
  if (host === undefined) return Promise.reject(new Error('it is not of the form host:port'))
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), timeout: CONNECT_MILLISECONDS })
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('timeout', () => socket.destroy(new Error('no answer')))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const inner: unknown = error instanceof AggregateError ? error.errors[0] : error
      reject(inner as Error)
    })
  })
}

/** Runs `work` with an admin that is closed afterwards. */
export async function withAdmin<T>(settings: KafkaSettings, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = await connectAdmin(settings)
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

/** What Kafka's client or a socket reports, for the person; undefined: the error is none of theirs. */
export function explainKafka(error: unknown, brokers: readonly string[]): CommandFailure | undefined {
  if (!(error instanceof Error)) return undefined
  if (!error.name.startsWith('KafkaJS') && !isTransient(error)) return undefined
  const missing = typesOf(error).includes('UNKNOWN_TOPIC_OR_PARTITION')
  const advice = missing ? ' Create the topics with "rates topics".' : ''
  return new CommandFailure(EXIT.unreachable, `Kafka at ${brokers.join(', ')}: ${error.message}.${advice}`, error)
}

function typesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const { type, originalError } = error as { type?: string; originalError?: unknown }
  return [...(type === undefined ? [] : [type]), ...typesOf(originalError ?? error.cause)]
}
