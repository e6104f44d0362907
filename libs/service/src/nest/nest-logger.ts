import { type LoggerService } from '@nestjs/common'
import { type Logger } from 'pino'

/** Nest's own messages in the service's log: what it does at start is of interest to a developer only. */
export function nestLogger(log: Logger): LoggerService {
  const context = (more: unknown[]): { context?: unknown } => (more.length > 0 ? { context: more.at(-1) } : {})
  return {
    log: (message: unknown, ...more: unknown[]) => log.debug(context(more), String(message)),
    debug: (message: unknown, ...more: unknown[]) => log.debug(context(more), String(message)),
    verbose: (message: unknown, ...more: unknown[]) => log.trace(context(more), String(message)),
    warn: (message: unknown, ...more: unknown[]) => log.warn(context(more), String(message)),
    error: (message: unknown, ...more: unknown[]) => log.error({ ...context(more), stack: more[0] }, String(message)),
    fatal: (message: unknown, ...more: unknown[]) => log.fatal({ ...context(more), stack: more[0] }, String(message)),
  }
}
