import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** JSON lines on standard output; what looks like a secret is left out, and a URL's password with it. */
export function createLogger(name: string, level = 'info'): Logger {
  return pino({
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: ['password', '*.password', 'authorization', '*.authorization', 'headers.authorization', 'databaseUrl'],
      remove: true,
    },
    serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
  })
}
