import { type PackWriter } from '@rates/core/pack-writer'
import { STORED_COLUMNS, StoredPacks } from '@rates/core/stored-packs'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
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
/** Slices of what COPY is fed with, so that the socket's buffer stays small beside the packs. */
const SLICE = 256 << 10

export async function insertPacks(client: pg.ClientBase, writer: PackWriter): Promise<void> {
  const copy = writer.copy()
  const stream = client.query(copyFrom(INSERT))
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject)
    stream.once('finish', resolve)
    let at = 0
    const write = (): void => {
      while (at < copy.length) {
        const slice = copy.subarray(at, at + SLICE)
        at += slice.length
        if (!stream.write(Buffer.from(slice.buffer, slice.byteOffset, slice.length))) {
          stream.once('drain', write)
          return
        }
      }
      stream.end()
    }
    write()
  })
}
