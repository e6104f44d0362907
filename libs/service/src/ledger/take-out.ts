import { splitPack } from '@rates/core/merge-packs'
import { PackWriter } from '@rates/core/pack-writer'
import type pg from 'pg'
import { failpoint } from '../failpoints.ts'
import { insertPacks, removePacks } from './copy-packs.ts'

/** Packs rewritten together: they are large, and all of their prices pass through this process. */
const TOGETHER = 4

/** In one order for everybody, so that two who take out of the same packs wait for each other and never in a circle. */
const HOLD = `
select ctid::text as ctid from price_packs where batches @> array[$1::bigint]
order by orig, dest, month, ctid limit ${TOGETHER} for update`

const LEFT = 'select exists (select from price_packs where batches @> array[$1::bigint]) as left'

/**
 * Takes a batch out of the packs that merging put it into, so that it can be hidden by its number: afterwards it has
 * packs of its own, as before the merge, and the others' packs hold nothing of it. No reader sees a difference.
 * In the caller's transaction (`read committed`), which holds the batch's row `for update`: merging holds it `for
 * share`, so the batch is in no merge meanwhile. Takes some 50 ms for each 100 000 prices of those packs.
 * @returns how many packs were rewritten
 */
export async function takeOut(client: pg.ClientBase, batchNo: bigint): Promise<number> {
  let rewritten = 0
  for (;;) {
    const { rows } = await client.query<{ ctid: string }>({ name: 'hold-merged', text: HOLD, values: [batchNo] })
    if (rows.length > 0) {
      const packs = await removePacks(
        client,
        rows.map(({ ctid }) => ctid),
      )
      const writer = new PackWriter()
      for (let pack = 0; pack < packs.length; pack++) splitPack(packs, pack, Number(batchNo), writer)
      await insertPacks(client, writer)
      rewritten += packs.length
      failpoint('inside-take-out')
      continue
    }
    // A pack that somebody else rewrote while we waited for it is another row now, which that statement could not see.
    const { rows: found } = await client.query<{ left: boolean }>({
      name: 'merged-left',
      text: LEFT,
      values: [batchNo],
    })
    if (!found[0]!.left) return rewritten
  }
}
