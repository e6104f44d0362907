import { execFile } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startKafka } from '@rates/local/kafka'
import { anyFreePort } from '@rates/local/ports'
import { startPostgres } from '@rates/local/postgres'
import { serverUser } from '@rates/local/postgres-user'
import { type Certified, together } from './certificates.ts'

const run = promisify(execFile)

export interface SecurePostgres {
  /** By the name that its certificate has; with the password of the superuser `rates`. */
  url: string
  stop(): Promise<void>
}

/** A PostgreSQL that also takes TLS, for whom the certificate says `localhost`. */
export async function startSecurePostgres(folder: string, server: Certified): Promise<SecurePostgres> {
  const user = await serverUser()
  if (user) await chown(server.key, user.uid, user.gid)
  const extra = {
    ssl: 'on',
    ssl_cert_file: server.certificate,
    ssl_key_file: server.key,
    shared_buffers: '16MB',
    fsync: 'off',
  }
  const { port, stop } = await startPostgres({ dir: join(folder, 'postgres'), port: 0, extra })
  return { url: `postgres://rates:rates@localhost:${port}/postgres`, stop }
}

export interface SecureKafka {
  /** Where everybody is let in, and where only those are who use TLS and log in. */
  open: string
  secure: string
  /** By SCRAM-SHA-512, or -256. */
  setPassword(user: string, password: string, bits?: '512' | '256'): Promise<void>
  stop(): Promise<void>
}

/** A broker with a second listener: SASL over TLS, as `localhost`. By PLAIN it knows `plain` with the password `plain`. */
export async function startSecureKafka(folder: string, server: Certified): Promise<SecureKafka> {
  const keystore = join(folder, 'kafka.pem')
  await writeFile(keystore, await together(server), { mode: 0o600 })
  const port = await anyFreePort()
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain";'
  const broker = await startKafka({
    dir: join(folder, 'kafka'),
    port: 0,
    extra: (ports) => ({
      listeners: `PLAINTEXT://127.0.0.1:${ports.broker},CONTROLLER://127.0.0.1:${ports.controller},SECURE://127.0.0.1:${port}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.broker},SECURE://localhost:${port}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.secure.scram-sha-256.sasl.jaas.config': scram,
      'listener.name.secure.scram-sha-512.sasl.jaas.config': scram,
      'listener.name.secure.plain.sasl.jaas.config': plain,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': keystore,
    }),
  })
  return {
    open: broker.brokers,
    secure: `localhost:${port}`,
    async setPassword(user, password, bits = '512') {
      const credential = ['--alter', '--add-config', `SCRAM-SHA-${bits}=[password=${password}]`]
      const whose = ['--entity-type', 'users', '--entity-name', user]
      const tool = [
        '-XX:TieredStopAtLevel=1',
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
        '-cp',
        broker.classpath,
      ]
      const where = ['kafka.admin.ConfigCommand', '--bootstrap-server', broker.brokers]
      await run(broker.java, [...tool, ...where, ...credential, ...whose])
    },
    stop: broker.stop,
  }
}
