import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'

/** What `COPY … TO STDOUT` sends, as it comes. */
export async function* readCopy(client: pg.ClientBase, statement: string): AsyncGenerator<Buffer> {
  const stream = client.query(copyTo(statement))
  try {
    for await (const piece of stream) yield piece as Buffer
  } finally {
    // pg's query_timeout ends with a callback that this stream never calls: its timer would hold the process for a minute.
    ;(stream as { callback?: () => void }).callback?.()
  }
}
