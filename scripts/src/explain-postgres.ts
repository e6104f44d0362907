import { isTransient } from '@rates/service/transient'
import { CommandFailure, EXIT } from './exit.ts'

const SQLSTATE = /^[0-9A-Z]{5}$/

/** What PostgreSQL or the socket to it reports, for the person; undefined: the error is none of theirs. */
export function explainPostgres(error: unknown): CommandFailure | undefined {
  if (!(error instanceof Error) || error instanceof CommandFailure || error.name.startsWith('KafkaJS')) return undefined
  // A refused connection to both addresses of a host is an AggregateError without a message.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error
  const { code, message } = inner as { code?: unknown; message: string }
  if (!isTransient(inner) && !(typeof code === 'string' && SQLSTATE.test(code))) return undefined
  const advice = code === '42P01' ? ' Are its migrations applied? "rates doctor" tells.' : ''
  return new CommandFailure(EXIT.unreachable, `PostgreSQL: ${message}.${advice}`, error)
}
