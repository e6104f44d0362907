import pg from 'pg'
import { connectionOptions } from './database-address.ts'
import { type Logger } from './log.ts'

export { isTransient } from './transient.ts'

pg.types.setTypeParser(pg.types.builtins.INT8, BigInt)

/** A pool's event: the seconds that a COMMIT of withTransaction() took. */
export const COMMITTED = 'rates:committed'

export interface PoolOptions {
  name: string
  max: number
  log: Logger
  /** Seconds after which a statement is given up and its connection destroyed. */
  statementSeconds?: number
}

/**
 * A pool that notices dead connections: node-postgres alone hangs on a half-open socket. bigint columns come as BigInt.
 */
export function createPool(address: string, options: PoolOptions): pg.Pool {
  const { name, max, log, statementSeconds = 60 } = options
  const pool = new pg.Pool({
    ...connectionOptions(address),
    max,
    application_name: name,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: statementSeconds * 1000,
    query_timeout: (statementSeconds + 5) * 1000,
    idle_in_transaction_session_timeout: 60_000,
  })
  // An idle client that loses its connection; without a listener it would end the process.
  pool.on('error', (error) => log.warn({ err: error }, 'lost an idle connection to PostgreSQL'))
  // One that is cut between being made and being handed out has no listener yet; its user meets the error at its query.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/**
 * Runs `work` in one transaction on one connection. If anything fails the transaction is rolled back; a connection that
 * cannot even do that is destroyed, not given back. A COMMIT whose answer was lost throws CommitUnknown: ask the ledger.
 */
export async function withTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const onError = (error: Error): void => void (broken = error)
  client.on('error', onError)
  try {
    await client.query('begin')
    const result = await work(client)
    const committing = performance.now()
    try {
      await client.query('commit')
    } catch (cause) {
      throw new CommitUnknown(cause)
    }
    pool.emit(COMMITTED, (performance.now() - committing) / 1000)
    return result
  } catch (error) {
    if (error instanceof CommitUnknown) broken ??= error
    else await client.query('rollback').catch((fault: Error) => (broken ??= fault))
    throw error
  } finally {
    client.removeListener('error', onError)
    client.release(broken)
  }
}

/** The answer to COMMIT did not come: the transaction may have happened. */
export class CommitUnknown extends Error {
  constructor(cause: unknown) {
    super('the answer to COMMIT was lost', { cause })
    this.name = 'CommitUnknown'
  }
}
