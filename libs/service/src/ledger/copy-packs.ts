import { type PackWriter } from '@rates/core/pack-writer'
import { STORED_COLUMNS, StoredPacks } from '@rates/core/stored-packs'
import type pg from 'pg'
import { copyIn } from '../copy-in.ts'
import { readCopy } from './read-copy.ts'

// COPY takes no parameters: which packs it is about stands in a setting of the transaction.
const REMOVE = `
copy (delete from price_packs where ctid = any(current_setting('rates.packs')::tid[]) returning ${STORED_COLUMNS})
to stdout (format binary)`

/**
 * Deletes packs, and hands over what they held. The caller's transaction holds their rows, so that their places
 * (`(page,item)`) stay theirs. @throws BrokenPack
 */
export async function removePacks(client: pg.ClientBase, ctids: readonly string[]): Promise<StoredPacks> {
  await client.query({
    name: 'packs-to-remove',
    text: `select set_config('rates.packs', ($1::tid[])::text, true)`,
    values: [ctids],
  })
  const pieces: Buffer[] = []
  for await (const piece of readCopy(client, REMOVE)) pieces.push(piece)
  return new StoredPacks(Buffer.concat(pieces))
}

const INSERT = `copy price_packs (${STORED_COLUMNS}) from stdin (format binary)`
/** Pieces of what COPY is fed with, so that the socket's buffer stays small beside the packs. */
const PIECE = 256 << 10

export async function insertPacks(client: pg.ClientBase, writer: PackWriter): Promise<void> {
  const copy = writer.copy()
  const pieces = Array.from({ length: Math.ceil(copy.length / PIECE) }, (_, i) =>
    copy.subarray(i * PIECE, (i + 1) * PIECE),
  )
  await copyIn(client, INSERT, pieces)
}
