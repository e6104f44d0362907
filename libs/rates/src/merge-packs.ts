import { type PackWriter } from './pack-writer.ts'
import { type StoredPacks } from './stored-packs.ts'

/** Writes one pack with everything that these packs of one pair and month hold. */
export function mergePacks(packs: StoredPacks, some: readonly number[], writer: PackWriter): void {
  const sums = new Float64Array(31)
  const days: number[][] = Array.from({ length: 31 }, () => [])
  // Packs of single batches in the order of their numbers leave each day's parts in order.
  for (const pack of [...some].sort((a, b) => packs.batchNo[a]! - packs.batchNo[b]!)) {
    for (let part = packs.first[pack]!; part < packs.end(pack); part++) days[packs.partDay[part]!]!.push(part)
    packs.addSums(pack, sums)
  }
  const batch = packs.partBatch
  for (const parts of days) {
    if (parts.some((part, i) => i > 0 && batch[part]! < batch[parts[i - 1]!]!)) {
      parts.sort((a, b) => batch[a]! - batch[b]!)
    }
  }
  writer.write(packs, some[0]!, days.flat(), sums)
}

/** Writes a pack of its own for the batch, and one with what is left of the pack without it; neither if it were empty. */
export function splitPack(packs: StoredPacks, pack: number, batchNo: number, writer: PackWriter): void {
  const own: number[] = []
  const rest: number[] = []
  const ownSums = new Float64Array(31)
  const sums = new Float64Array(31)
  packs.addSums(pack, sums)
  for (let part = packs.first[pack]!; part < packs.end(pack); part++) {
    if (packs.partBatch[part] !== batchNo) {
      rest.push(part)
      continue
    }
    own.push(part)
    let sum = 0
    const from = packs.partAt[part]!
    for (let i = 0; i < packs.partN[part]!; i++) sum += packs.view.getInt32(from + i * 8)
    ownSums[packs.partDay[part]!]! += sum
  }
  // What readers add up stays the same, whatever the sums were.
  for (let day = 0; day < 31; day++) sums[day]! -= ownSums[day]!
  if (own.length > 0) writer.write(packs, pack, own, ownSums)
  if (rest.length > 0) writer.write(packs, pack, rest, sums)
}
