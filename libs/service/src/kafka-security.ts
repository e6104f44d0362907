import { type SASLOptions } from 'kafkajs'
import { type ConnectionOptions } from 'node:tls'
import { freshFile, trustedCa } from './fresh-file.ts'

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** How brokers are reached that do not let everybody in. */
export interface KafkaSecurity {
  /** Brokers' certificates are verified: against this CA's, else against those that Node brings along. */
  tls?: { caFile?: string | undefined } | undefined
  login?:
    | {
        mechanism: (typeof SASL_MECHANISMS)[number]
        username: string
        /** Asked at each login. */
        password: () => string
      }
    | undefined
}

export interface KafkaSecuritySettings {
  KAFKA_TLS?: boolean | undefined
  KAFKA_CA_FILE?: string | undefined
  KAFKA_SASL_MECHANISM?: (typeof SASL_MECHANISMS)[number] | undefined
  KAFKA_USERNAME?: string | undefined
  KAFKA_PASSWORD?: string | undefined
  KAFKA_PASSWORD_FILE?: string | undefined
}

/** What settings that loadConfig() has checked say of it. */
export function kafkaSecurity(settings: KafkaSecuritySettings): KafkaSecurity {
  const { KAFKA_CA_FILE: caFile, KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username } = settings
  const { KAFKA_PASSWORD: password = '', KAFKA_PASSWORD_FILE: file } = settings
  return {
    tls: settings.KAFKA_TLS || caFile !== undefined ? { caFile } : undefined,
    login:
      mechanism === undefined || username === undefined
        ? undefined
        : { mechanism, username, password: file === undefined ? () => password : freshFile(file) },
  }
}

/** In kafkajs' words. It hands these objects on as they are and looks into them at each connection. */
export function clientSecurity({ tls, login }: KafkaSecurity): {
  ssl?: ConnectionOptions | boolean
  sasl?: SASLOptions
} {
  return {
    ...(tls && { ssl: tls.caFile === undefined || trustedCa(tls.caFile) }),
    ...(login && { sasl: asSasl(login) }),
  }
}

function asSasl({ mechanism, username, password }: NonNullable<KafkaSecurity['login']>): SASLOptions {
  return {
    mechanism: mechanism as 'plain', // the types of the three are alike
    username,
    get password() {
      return password()
    },
  }
}
