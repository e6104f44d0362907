import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { watched } from './watched-pool.ts'

/** A piece as large as this is not kept by a socket when it says that it has room: it has been handed to the kernel. */
const FLUSHED = 128 << 10

/** Feeds a `copy … from stdin` piece by piece. A piece's memory may be used again once the next is asked for. */
export async function copyIn(client: pg.ClientBase, statement: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const stream = client.query(copyFrom(statement))
  const failed = new Promise<never>((_, reject) => stream.once('error', reject))
  failed.catch(() => undefined)
  for (const piece of pieces) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    const lasting = bytes.length < FLUSHED ? Buffer.from(bytes) : bytes
    await watched(client, Promise.race([failed, new Promise((resolve) => stream.write(lasting, resolve))]))
  }
  await watched(client, Promise.race([failed, new Promise<void>((resolve) => stream.once('finish', resolve).end())]))
}
