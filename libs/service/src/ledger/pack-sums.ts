import { DigestSum } from '@rates/core/digest'
import { daysInMonth, formatDay } from '@rates/core/months'
import { PortTable, type Port } from '@rates/core/port-table'
import { type PackReader } from './pack-reader.ts'

export type PackFault = 'pack_shape' | 'pack_counts' | 'pack_sum' | 'pack_port' | 'merged_pack'

/** What is stored of one batch. */
export class StoredSum {
  readonly digest = new DigestSum()
  rows = 0
  packs = 0
  /** Packs that hold prices of other batches too. */
  merged = 0
}

/**
 * Adds packs up, by batch: some 200 bytes for each batch that has packs, whatever they hold. Each pack is checked by
 * itself first; one that is wrong is told and not added.
 */
export class PackSums {
  readonly batches = new Map<number, StoredSum>()
  packs = 0
  rows = 0
  private readonly codes: string[]
  private readonly table: PortTable
  /** Of a port's id: its place in the table. */
  private readonly place: Map<number, number>
  private readonly onFault: (kind: PackFault, batchNo: number, message: string) => void

  constructor(
    ports: readonly Port[],
    onFault: (kind: PackFault, batchNo: number, message: string) => void = () => undefined,
  ) {
    this.codes = ports.map(({ code }) => code)
    this.table = new PortTable(ports)
    this.place = new Map(ports.map(({ id }, index) => [id, index]))
    this.onFault = onFault
  }

  add(pack: PackReader): void {
    this.packs++
    const orig = this.place.get(pack.orig)
    const dest = this.place.get(pack.dest)
    const fault = this.shapeFault(pack) ?? this.countFault(pack) ?? this.mergeFault(pack)
    const unknown = orig === undefined ? pack.orig : dest === undefined ? pack.dest : undefined
    if (fault) this.tell(pack, ...fault)
    else if (orig === undefined || dest === undefined) this.tell(pack, 'pack_port', `no port has the id ${unknown}`)
    else this.sum(pack, orig * 4, dest * 4)
  }

  private tell(pack: PackReader, kind: PackFault, what: string): void {
    const code = (id: number): string => this.codes[this.place.get(id) ?? -1] ?? `port ${id}`
    const month = pack.month < 0 ? 'a month that is none' : formatDay(pack.month, 0).slice(0, 7)
    this.onFault(kind, pack.batchNo, `its pack of ${code(pack.orig)} to ${code(pack.dest)} in ${month}: ${what}`)
  }

  private shapeFault({
    month,
    days,
    n,
    s,
    prices,
    batches,
    batchN,
    merged,
  }: PackReader): [PackFault, string] | undefined {
    if (month < 0) return ['pack_shape', 'month is not the first day of a month from 1970 to 2199']
    if (!(days.valid && n.valid && s.valid && prices.valid))
      return ['pack_shape', 'an array is null, nested or holds nulls']
    if (days.length === 0) return ['pack_shape', 'it has no days']
    if (n.length !== days.length || s.length !== days.length) {
      return ['pack_shape', `${days.length} days, ${n.length} counts, ${s.length} sums`]
    }
    for (let i = 0; i < days.length; i++) {
      const day = days.values[i]!
      if (day < 0 || day >= daysInMonth(month)) return ['pack_shape', `day ${day} is not in the month`]
      if (i > 0 && day <= days.values[i - 1]!) return ['pack_shape', 'days do not ascend']
    }
    if (!merged) return undefined
    if (!batches.valid || !batchN.valid || batches.length !== batchN.length || batches.length === 0) {
      return ['merged_pack', 'batches and batch_n do not belong together']
    }
    return undefined
  }

  private countFault({ month, days, n, s, prices }: PackReader): [PackFault, string] | undefined {
    let at = 0
    for (let i = 0; i < days.length; i++) {
      const to = at + n.values[i]!
      const day = (): string => formatDay(month, days.values[i]!)
      if (to <= at) return ['pack_counts', `n of ${day()} is ${n.values[i]}`]
      if (to > prices.length) return ['pack_counts', `n tells more prices than the ${prices.length} that are there`]
      let sum = 0
      for (; at < to; at++) {
        const price = prices.values[at]!
        if (price <= 0) return ['pack_shape', `a price of ${day()} is ${price}`]
        sum += price
      }
      // A sum that a double does not hold takes four million of the highest prices on one day.
      if (sum !== s.values[i] && sum <= Number.MAX_SAFE_INTEGER)
        return ['pack_sum', `s of ${day()} is ${s.values[i]}, its prices add up to ${sum}`]
    }
    if (at < prices.length) return ['pack_counts', `n tells ${at} prices, ${prices.length} are there`]
    return undefined
  }

  private mergeFault({
    batchNo,
    month,
    days,
    n,
    batches,
    batchN,
    merged,
  }: PackReader): [PackFault, string] | undefined {
    if (!merged) return undefined
    let entry = 0
    let highest = 0
    for (let i = 0; i < days.length; i++) {
      let left = n.values[i]!
      for (; left > 0 && entry < batches.length; entry++) {
        const count = batchN.values[entry]!
        if (count <= 0) return ['merged_pack', `batch_n has ${count}`]
        left -= count
        highest = Math.max(highest, batches.values[entry]!)
      }
      if (left !== 0) return ['merged_pack', `batch_n does not add up to n of ${formatDay(month, days.values[i]!)}`]
    }
    if (entry < batches.length) return ['merged_pack', 'batch_n tells more prices than are there']
    if (highest !== batchNo) return ['merged_pack', `batch_no is ${batchNo}, the highest of batches ${highest}`]
    return undefined
  }

  private sum(
    { batchNo, month, days, n, prices, batches, batchN, merged }: PackReader,
    orig: number,
    dest: number,
  ): void {
    const { words } = this.table
    const values = prices.values
    const first = month * 32
    let entry = 0
    let at = 0
    let stored = merged ? undefined : this.of(batchNo)
    if (merged) for (const no of new Set(batches.values.subarray(0, batches.length))) this.of(no).merged++
    else stored!.packs++
    for (let i = 0; i < days.length; i++) {
      const day = first + days.values[i]!
      const end = at + n.values[i]!
      while (at < end) {
        if (merged) stored = this.of(batches.values[entry]!)
        const to = merged ? at + batchN.values[entry++]! : end
        const { digest } = stored!
        stored!.rows += to - at
        for (; at < to; at++) digest.addRow(words, orig, dest, day, values[at]!)
      }
    }
    this.rows += at
  }

  private of(batchNo: number): StoredSum {
    let stored = this.batches.get(batchNo)
    if (!stored) this.batches.set(batchNo, (stored = new StoredSum()))
    return stored
  }
}
