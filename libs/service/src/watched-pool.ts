import type pg from 'pg'

/** Told of each wait: for a free connection of the pool (`pool`), or for PostgreSQL (`db`). Gives the promise back. */
export type Waiting = <T>(on: 'db' | 'pool' | 'broker', promise: Promise<T>) => Promise<T>

const watchers = new WeakMap<pg.ClientBase, Waiting>()

/** What this client's user waits for outside of query(): COPY. */
export const watched = <T>(client: pg.ClientBase, promise: Promise<T>): Promise<T> =>
  watchers.get(client)?.('db', promise) ?? promise

/**
 * The same pool as one of its users has it, whose waits are told to `waiting`. The pool itself and its other users
 * notice nothing of it.
 * @param onClient told which connection that user has, undefined once it was given back
 */
export function watchedPool(
  pool: pg.Pool,
  waiting: Waiting,
  onClient: (client: pg.PoolClient | undefined) => void = () => undefined,
): pg.Pool {
  const connect = async (): Promise<pg.PoolClient> => {
    // A new connection is made where there is room for one: that is waiting for PostgreSQL.
    const isFull = pool.idleCount === 0 && pool.totalCount >= pool.options.max
    const client = await waiting(isFull ? 'pool' : 'db', pool.connect())
    const { release } = client
    const query = client.query as (...args: unknown[]) => unknown
    client.query = ((...args: unknown[]) => {
      const result = query.apply(client, args)
      return isPromise(result) ? waiting('db', result) : result
    }) as typeof client.query
    client.release = (fault) => {
      // Uncovers the client's own.
      delete (client as Partial<pg.PoolClient>).query
      watchers.delete(client)
      onClient(undefined)
      release(fault)
    }
    watchers.set(client, waiting)
    onClient(client)
    return client
  }
  const query = async (...args: unknown[]): Promise<unknown> => {
    const client = await connect()
    let fault: Error | undefined
    const onError = (error: Error): void => void (fault = error)
    client.on('error', onError)
    try {
      return await (client.query as (...args: unknown[]) => Promise<unknown>)(...args)
    } catch (error) {
      // As the pool's own query() does: who knows what state it is in.
      fault ??= error as Error
      throw error
    } finally {
      client.removeListener('error', onError)
      client.release(fault)
    }
  }
  return Object.assign(Object.create(pool) as pg.Pool, { connect, query })
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof (value as Partial<Promise<unknown>> | undefined)?.then === 'function'
