import { digestOf, randomLines, type TestBatch } from '@rates/testing/batches'

/** What a batch's rows are made of. */
export interface Recipe {
  rows: number
  seed: number
  month: string
}

/** All that is kept of a batch that was sent, or a run would hold millions of rows. */
export interface Memory extends Recipe {
  id: string
  digest: string
}

const linesOf = ({ rows, seed, month }: Recipe): string[] => randomLines(rows, { seed, month, sorted: seed % 2 === 0 })

/** A batch of random prices. */
export function loadBatch(id: string, recipe: Recipe): TestBatch & Memory {
  const lines = linesOf(recipe)
  return { ...recipe, id, lines, digest: digestOf(lines) }
}

/** Its rows are made again where they are looked at. */
export function remembered({ id, digest, rows, seed, month }: Memory): TestBatch {
  return {
    id,
    digest,
    month,
    get lines() {
      return linesOf({ rows, seed, month })
    },
  }
}

/** `count` months from the one of `year`'s January on, as `2001-07`. */
export const month = (year: number, count: number): string =>
  new Date(Date.UTC(year, count, 1)).toISOString().slice(0, 7)

/** A size from 1 to `most`, small ones as often as large ones ten times their size. */
export const randomSize = (most: number, random: () => number = Math.random): number =>
  Math.max(1, Math.round(most ** random()))
