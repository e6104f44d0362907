import type pg from 'pg'

/** A price as packs hold it: `day` is the offset in the month. */
export interface PackedPrice {
  batchNo: number
  day: number
  price: number
}

/** A row of price_packs. */
export interface PackRow {
  batch_no: number
  orig: number
  dest: number
  month: string
  days: number[]
  n: number[]
  s: number[]
  prices: number[]
  batches: number[] | null
  batch_n: number[] | null
}

/** A pack of these prices, made in the plainest way; a merged one if they are of several batches. */
export function packRow(rows: readonly PackedPrice[], orig = 1, dest = 2, month = '2020-01-01'): PackRow {
  const sorted = [...rows].sort((a, b) => a.day - b.day || a.batchNo - b.batchNo)
  const of = <T>(key: (row: PackedPrice) => T): PackedPrice[][] => [...Map.groupBy(sorted, key).values()]
  const days = of(({ day }) => day)
  const parts = of(({ day, batchNo }) => `${day} ${batchNo}`)
  const batches = parts.map((part) => part[0]!.batchNo)
  const merged = new Set(batches).size > 1
  return {
    batch_no: Math.max(...batches),
    orig,
    dest,
    month,
    days: days.map((day) => day[0]!.day),
    n: days.map((day) => day.length),
    s: days.map((day) => day.reduce((sum, { price }) => sum + price, 0)),
    prices: sorted.map(({ price }) => price),
    batches: merged ? batches : null,
    batch_n: merged ? parts.map((part) => part.length) : null,
  }
}

/** A batch in the ledger that ended some time ago, as far as those who look after packs need it. @returns its number */
export async function insertBatch(
  db: Pick<pg.Pool, 'query'>,
  options: { id?: string; state?: string; ago?: string; rows?: number; dryRun?: boolean } = {},
): Promise<number> {
  const { id = null, state = 'succeeded', ago = '2 minutes', rows = 5_000, dryRun = false } = options
  const { rows: made } = await db.query<{ no: number }>(
    `insert into batches (id, dry_run, state, source, chunks_expected, rows_accepted, finished_at, created_at)
     values (coalesce($5, 'b' || (select count(*) from batches)), $4, $1, 'acme', 1, $2,
       case when $1 <> 'open' then now() - $3::interval end, now() - $3::interval)
     returning no::float8`,
    [state, rows, ago, dryRun, id],
  )
  return made[0]!.no
}

export async function insertPackRows(db: Pick<pg.Pool, 'query'>, packs: readonly PackRow[]): Promise<void> {
  await db.query(
    `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices, batches, batch_n)
     select batch_no, orig, dest, month, days, n, s, prices, batches, batch_n
     from jsonb_populate_recordset(null::price_packs, $1)`,
    [JSON.stringify(packs)],
  )
}

export async function readPackRows(db: Pick<pg.Pool, 'query'>): Promise<PackRow[]> {
  const { rows } = await db.query<PackRow>(
    `select batch_no::float8, orig, dest, month::text, days, n, s::float8[], prices, batches::float8[], batch_n
     from price_packs order by orig, dest, month, batch_no`,
  )
  return rows
}

/** The prices of a pack, each with its day and batch. @throws Error if its arrays do not belong together */
export function pricesOf(pack: PackRow): PackedPrice[] {
  const { batches, batch_n } = pack
  const owners = batches?.flatMap((no, i) => new Array<number>(batch_n![i]!).fill(no))
  const days = pack.days.flatMap((day, i) => new Array<number>(pack.n[i]!).fill(day))
  if (days.length !== pack.prices.length || (owners && owners.length !== days.length)) {
    throw new Error(`a pack whose arrays do not belong together: ${JSON.stringify(pack).slice(0, 200)}`)
  }
  return pack.prices.map((price, i) => ({ batchNo: owners?.[i] ?? pack.batch_no, day: days[i]!, price }))
}

/** Packs as `copy … to stdout (format binary)` sends them: written from the protocol's description. */
export function packsCopy(packs: readonly PackRow[]): Uint8Array {
  const pieces: Buffer[] = [Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')]
  const int = (bytes: number, value: number): Buffer => {
    const buffer = Buffer.alloc(bytes)
    if (bytes === 8) buffer.writeBigInt64BE(BigInt(value))
    else buffer.writeIntBE(value, 0, bytes)
    return buffer
  }
  const field = (value: Buffer | null): void =>
    void (value ? pieces.push(int(4, value.length), value) : pieces.push(int(4, -1)))
  const array = (type: number, width: number, values: number[] | null): void => {
    if (values?.length === 0) return field(Buffer.concat([int(4, 0), int(4, 0), int(4, type)]))
    const head = [1, 0, type, values?.length ?? 0, 1].map((value) => int(4, value))
    field(values && Buffer.concat([...head, ...values.flatMap((value) => [int(4, width), int(width, value)])]))
  }
  for (const pack of packs) {
    pieces.push(int(2, 10))
    field(int(8, pack.batch_no))
    field(int(4, pack.orig))
    field(int(4, pack.dest))
    field(int(4, (Date.parse(pack.month) - Date.parse('2000-01-01')) / 86_400_000))
    array(21, 2, pack.days)
    array(23, 4, pack.n)
    array(20, 8, pack.s)
    array(23, 4, pack.prices)
    array(20, 8, pack.batches)
    array(23, 4, pack.batch_n)
  }
  return Buffer.concat([...pieces, int(2, -1)])
}
