import pg from 'pg'

export interface Statement {
  /** It is prepared once on each connection. */
  name: string
  text: string
  values: unknown[]
}

/** A row as PostgreSQL sends it: its columns in text form. */
export type SentRow = readonly (string | null)[]

/**
 * Runs a statement and hands over each row as it comes, so that an answer of any size takes no memory. (The driver's own
 * rows are collected even for who listens to them one by one, once there is a time limit.)
 */
export function eachRow(pool: pg.Pool, statement: Statement, take: (row: SentRow) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    // By a callback: a connection that is cut right after it was made must meet our listener, and a promise is too late.
    pool.connect((unavailable, client, release) => {
      if (unavailable || client === undefined) return reject(unavailable ?? new Error('no connection'))
      let broken: Error | undefined
      const onError = (error: Error): void => void (broken = error)
      client.on('error', onError)
      const query = new RowQuery(statement, take, (error) => {
        client.removeListener('error', onError)
        release(broken ?? error) // only for faults of the connection or the statement: it is destroyed then
        const fault = error ?? query.fault
        if (fault) reject(fault)
        else resolve()
      })
      client.query(query)
    })
  })
}

class RowQuery extends pg.Query {
  readonly #take: (row: SentRow) => void
  /** What `take` threw first; the rows after it are passed over. */
  fault: Error | undefined

  constructor(statement: Statement, take: (row: SentRow) => void, done: (error: Error | undefined) => void) {
    super(statement)
    this.#take = take
    Object.assign(this, { callback: (error?: Error | null) => done(error ?? undefined) })
  }

  /** What pg.Query does for each row; an error here would be thrown into the socket. */
  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    if (this.fault !== undefined) return
    try {
      this.#take(fields)
    } catch (error) {
      this.fault = error as Error
    }
  }
}
