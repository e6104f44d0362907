import { digestOf, randomLines, type TestBatch } from '@rates/testing/batches'

/** A batch of random prices. */
export function loadBatch(id: string, rows: number, seed: number, month: string): TestBatch {
  const lines = randomLines(rows, { seed, month, sorted: seed % 2 === 0 })
  return { id, lines, month, digest: digestOf(lines) }
}

/**
 * Of a batch that was sent only what tells it is kept, or a run would hold millions of rows: they are made again where
 * they are looked at.
 */
export function remembered(batch: TestBatch, seed: number, id = batch.id): TestBatch {
  const { month, digest } = batch
  const rows = batch.lines.length
  return {
    id,
    month,
    digest,
    get lines() {
      return randomLines(rows, { seed, month, sorted: seed % 2 === 0 })
    },
  }
}

/** `count` months from the one of `year`'s January on, as `2001-07`. */
export const month = (year: number, count: number): string =>
  new Date(Date.UTC(year, count, 1)).toISOString().slice(0, 7)

/** A size from 1 to `most`, small ones as often as large ones ten times their size. */
export const randomSize = (most: number, random: () => number = Math.random): number =>
  Math.max(1, Math.round(most ** random()))
