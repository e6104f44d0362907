import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Of a URL wherever it stands in a line, also in a message or the text of an error. */
const URL_PASSWORD = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/"\\]*):[^\s@/"\\]+@/gi

/** JSON lines on standard output; what looks like a secret is left out, and a URL's password with it. */
export function createLogger(name: string, level = 'info', to?: DestinationStream): Logger {
  const options = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ['password', 'authorization', 'secret', 'databaseUrl'].flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
      remove: true,
    },
    serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
    hooks: { streamWrite: (line: string) => (line.includes('@') ? line.replace(URL_PASSWORD, '$1@') : line) },
  }
  return to ? pino(options, to) : pino(options)
}
