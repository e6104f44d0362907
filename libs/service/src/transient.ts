/**
 * PostgreSQL is away, restarting, out of connections or disk, or chose this transaction as a deadlock's victim. Or it
 * refuses us (28...): a password is being changed, and no work of ours is the cause.
 */
const SQLSTATES = new Set([
  '28000',
  '28P01',
  '40001',
  '40P01',
  '53000',
  '53100',
  '53200',
  '53300',
  '55006',
  '55P03',
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '25006',
  '25P03',
])
const ERRNOS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EHOSTDOWN',
  'ECONNABORTED',
])
/** node-postgres gives these no code. */
const MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Connection ended|the connection was cut)/

/** True where trying again later may help: PostgreSQL by SQLSTATE, sockets by errno, Kafka by its own word. */
export function isTransient(error: unknown): boolean {
  // By its shape: an error of Node's own is no instance of a sandbox's Error.
  if (typeof error !== 'object' || error === null) return false
  const { code, retriable, message, cause } = error as Partial<
    Record<'code' | 'retriable' | 'message' | 'cause', unknown>
  >
  if (typeof code === 'string' && (ERRNOS.has(code) || SQLSTATES.has(code) || code.startsWith('08'))) return true
  if (retriable === true || (typeof message === 'string' && MESSAGES.test(message))) return true
  return isTransient(cause)
}
