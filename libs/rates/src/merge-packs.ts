import { type Part, type StoredPack } from './stored-pack.ts'

/** One pack with everything that the packs of one pair and month hold. What one batch has on one day becomes one part. */
export function mergePacks(packs: readonly StoredPack[]): StoredPack {
  const { orig, dest, month } = packs[0]!
  const sums = new Float64Array(31)
  const days: Part[][] = Array.from({ length: 31 }, () => [])
  for (const pack of packs) {
    for (const part of pack.parts) days[part.day]!.push(part)
    for (let day = 0; day < 31; day++) sums[day]! += pack.sums[day]!
  }
  const parts: Part[] = []
  let size = 0
  for (const day of days) {
    const start = parts.length
    for (const part of day.sort((a, b) => a.batchNo - b.batchNo)) {
      size += part.n
      const last = parts.length > start ? parts[parts.length - 1] : undefined
      if (last?.batchNo === part.batchNo) parts[parts.length - 1] = joined(last, part)
      else parts.push(part)
    }
  }
  return { orig, dest, month, sums, parts, size }
}

function joined(a: Part, b: Part): Part {
  const prices = new Uint8Array(a.prices.length + b.prices.length)
  prices.set(a.prices)
  prices.set(b.prices, a.prices.length)
  return { ...a, n: a.n + b.n, prices }
}

/**
 * Takes one batch's prices out of a pack.
 * @returns a pack of its own for the batch, and what is left; undefined where there is nothing
 */
export function splitPack(
  pack: StoredPack,
  batchNo: number,
): { own: StoredPack | undefined; rest: StoredPack | undefined } {
  const own = pack.parts.filter((part) => part.batchNo === batchNo)
  const rest = pack.parts.filter((part) => part.batchNo !== batchNo)
  const ownSums = new Float64Array(31)
  for (const { day, prices } of own) {
    const view = new DataView(prices.buffer, prices.byteOffset, prices.byteLength)
    for (let at = 4; at < prices.length; at += 8) ownSums[day]! += view.getInt32(at)
  }
  const half = (parts: Part[], sums: Float64Array): StoredPack | undefined => {
    if (parts.length === 0) return undefined
    return { ...pack, parts, sums, size: parts.reduce((all, part) => all + part.n, 0) }
  }
  // What readers add up stays the same, whatever the sums are.
  const restSums = pack.sums.map((sum, day) => sum - ownSums[day]!)
  return { own: half(own, ownSums), rest: half(rest, restSums) }
}
