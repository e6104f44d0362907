/** So many small packs of a pair and month are left alone: fewer would be rewritten more often than it helps readers. */
export const CROWD = 8

/**
 * Prices of a merged pack at most. A read of a month takes time for each pack and not for its prices, so that they should
 * be large; but taking a batch out rewrites all prices of the packs that it is in (docs/decisions/0007).
 */
export const MERGED_PRICES = 131_072

/** From this size on a pack is never merged again: two of them would not fit into one. */
export const FULL_PRICES = MERGED_PRICES / 2

/**
 * Which of the small packs of one pair and month are to be merged with one another. A pack is rewritten only together
 * with at least as many prices as it has itself, so that a price is rewritten a few times in its life, however the
 * packs come: in a flood once, in a trickle of equal packs about as often as the logarithm to base 4 tells.
 * @param sizes prices of each pack, in ascending order, below FULL_PRICES each
 * @returns how many packs, from the smallest on, become each merged pack; the rest stays as it is
 */
export function planMerges(sizes: readonly number[]): number[] {
  if (sizes.length < CROWD) return []
  let count = 0
  let smaller = 0
  for (let i = 0; i < sizes.length; i++) {
    if (i > 0 && sizes[i]! <= smaller) count = i + 1
    smaller += sizes[i]!
  }
  const merges: number[] = []
  let packs = 0
  let prices = 0
  for (let i = 0; i < count; i++) {
    if (prices + sizes[i]! > MERGED_PRICES) {
      merges.push(packs)
      packs = prices = 0
    }
    packs++
    prices += sizes[i]!
  }
  if (packs > 1) merges.push(packs)
  return merges
}
