import { digestOf, randomLines, type TestBatch } from '@rates/testing/batches'

/**
 * A batch of random prices of which only what tells it is kept: a run sends millions of rows, and its rows are made again
 * where they are looked at.
 */
export function loadBatch(id: string, rows: number, seed: number, month: string): TestBatch {
  const make = (): string[] => randomLines(rows, { seed, month, sorted: seed % 2 === 0 })
  return {
    id,
    month,
    digest: digestOf(make()),
    get lines() {
      return make()
    },
  }
}

/** The same rows under another id. */
export const renamed = (batch: TestBatch, id: string): TestBatch => ({
  id,
  month: batch.month,
  digest: batch.digest,
  get lines() {
    return batch.lines
  },
})

/** `count` months from the one of `year`'s January on, as `2001-07`. */
export const month = (year: number, count: number): string =>
  new Date(Date.UTC(year, count, 1)).toISOString().slice(0, 7)

/** A size from 1 to `most`, small ones as often as large ones ten times their size. */
export const randomSize = (most: number, random: () => number = Math.random): number =>
  Math.max(1, Math.round(most ** random()))
