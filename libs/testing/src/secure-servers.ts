import { execFile } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type RunningKafka, startKafka } from '@rates/local/kafka'
import { anyFreePort } from '@rates/local/ports'
import { startPostgres } from '@rates/local/postgres'
import { serverUser } from '@rates/local/postgres-user'
import { type Certified, together } from './certificates.ts'

const run = promisify(execFile)

export interface SecureOptions {
  /** The name or address by which others reach this machine, for which the certificate is. They listen at all addresses then, unless it is `localhost`. */
  host?: string
}

export interface SecurePostgres {
  /** By the name that its certificate has; with the password of the superuser `rates`. */
  url: string
  port: number
  stop(): Promise<void>
}

/** A PostgreSQL that also takes TLS; where a host is told, nothing else. */
export async function startSecurePostgres(
  folder: string,
  server: Certified,
  { host }: SecureOptions = {},
): Promise<SecurePostgres> {
  const user = await serverUser()
  if (user) await chown(server.key, user.uid, user.gid)
  const rules = join(folder, 'pg_hba.conf')
  await writeFile(rules, 'hostssl all all 0.0.0.0/0 scram-sha-256\nhostssl all all ::/0 scram-sha-256\n')
  const extra = {
    ssl: 'on',
    ssl_cert_file: server.certificate,
    ssl_key_file: server.key,
    shared_buffers: '16MB',
    fsync: 'off',
    ...(host !== undefined && { listen_addresses: '*', hba_file: rules }),
  }
  const { port, stop } = await startPostgres({ dir: join(folder, 'postgres'), port: 0, extra })
  return { url: `postgres://rates:rates@${host ?? 'localhost'}:${port}/postgres`, port, stop }
}

export interface SecureKafka {
  /** Where everybody of this machine is let in, and where only those are who use TLS and log in. */
  open: string
  secure: string
  /** By SCRAM-SHA-512, or -256. */
  setPassword(user: string, password: string, bits?: '512' | '256'): Promise<void>
  /** The user may do this with what begins so; where a host is told, nobody else may do anything at `secure`. */
  allow(user: string, operations: readonly string[], on: 'topic' | 'group', prefix: string): Promise<void>
  /** All connections end, and everybody has to log in again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/**
 * A broker with a second listener: SASL over TLS, as `localhost` unless a host is told, with which it also asks what a
 * user is allowed. By PLAIN it knows `plain` with the password `plain`.
 */
export async function startSecureKafka(
  folder: string,
  server: Certified,
  { host }: SecureOptions = {},
): Promise<SecureKafka> {
  const keystore = join(folder, 'kafka.pem')
  await writeFile(keystore, await together(server), { mode: 0o600 })
  const port = await anyFreePort()
  const address = host === undefined || host === 'localhost' ? '127.0.0.1' : '0.0.0.0'
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain";'
  const start = (): Promise<RunningKafka> =>
    startKafka({
      dir: join(folder, 'kafka'),
      port: 0,
      extra: (ports) => ({
        listeners: `PLAINTEXT://127.0.0.1:${ports.broker},CONTROLLER://127.0.0.1:${ports.controller},SECURE://${address}:${port}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.broker},SECURE://${host ?? 'localhost'}:${port}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
        'listener.name.secure.scram-sha-256.sasl.jaas.config': scram,
        'listener.name.secure.scram-sha-512.sasl.jaas.config': scram,
        'listener.name.secure.plain.sasl.jaas.config': plain,
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': keystore,
        ...(host !== undefined && {
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'super.users': 'User:ANONYMOUS',
        }),
      }),
    })
  let broker = await start()
  const tool = async (name: string, ...args: string[]): Promise<void> => {
    const quick = ['-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', broker.classpath]
    await run(broker.java, [...quick, name, '--bootstrap-server', broker.brokers, ...args])
  }
  return {
    get open() {
      return broker.brokers
    },
    secure: `${host ?? 'localhost'}:${port}`,
    async setPassword(user, password, bits = '512') {
      const credential = ['--alter', '--add-config', `SCRAM-SHA-${bits}=[password=${password}]`]
      await tool('kafka.admin.ConfigCommand', ...credential, '--entity-type', 'users', '--entity-name', user)
    },
    async allow(user, operations, on, prefix) {
      const what = [`--${on}`, prefix, '--resource-pattern-type', 'prefixed']
      const may = operations.flatMap((operation) => ['--operation', operation])
      await tool('org.apache.kafka.tools.AclCommand', '--add', '--allow-principal', `User:${user}`, ...may, ...what)
    },
    async restart() {
      await broker.stop()
      broker = await start()
    },
    stop: () => broker.stop(),
  }
}
