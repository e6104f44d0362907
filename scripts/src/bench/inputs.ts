import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { benchCodes, benchRows, narrow, type RowsSpec } from './rows.ts'

/** The files of rows that all contenders load, each made once. */
export class Inputs {
  private readonly dir: string
  private readonly made = new Map<string, Promise<string>>()
  private readonly ids = new Map(benchCodes.map((code, i) => [code, i + 1]))

  constructor(dir: string) {
    this.dir = dir
  }

  /** CSV with codes, without a header line. @returns its path */
  csv(spec: RowsSpec): Promise<string> {
    return this.once(`${nameOf(spec)}.csv`, (file) =>
      pipeline(Readable.from(benchRows(spec), { objectMode: false }), createWriteStream(file)),
    )
  }

  /** The same with small numbers for the ports, as they stand in `public.ports`. */
  narrow(spec: RowsSpec): Promise<string> {
    const pieces = function* (ids: ReadonlyMap<string, number>): Generator<string> {
      for (const piece of benchRows(spec)) yield narrow(piece, ids)
    }
    return this.once(`${nameOf(spec)}-narrow.csv`, (file) =>
      pipeline(Readable.from(pieces(this.ids)), createWriteStream(file)),
    )
  }

  /** The same rows in `count` files. @returns their paths in order, and the rows of each but perhaps the last */
  async split(spec: RowsSpec, count: number): Promise<{ files: string[]; rows: number }> {
    const rows = Math.ceil(spec.rows / count)
    const dir = await this.once(`${nameOf(spec)}-${count}`, async (folder) => {
      await mkdir(folder)
      let lines: string[] = []
      let file = 0
      const write = async (): Promise<void> => {
        if (lines.length > 0) await writeFile(partOf(folder, file++), `${lines.splice(0, rows).join('\n')}\n`)
      }
      for (const piece of benchRows(spec)) {
        lines = lines.concat(piece.toString().trimEnd().split('\n'))
        while (lines.length >= rows) await write()
      }
      await write()
    })
    const files = Math.ceil(spec.rows / rows)
    return { files: Array.from({ length: files }, (_, i) => partOf(dir, i)), rows }
  }

  private once(name: string, make: (file: string) => Promise<unknown>): Promise<string> {
    const file = path.join(this.dir, name)
    let made = this.made.get(name)
    if (!made) this.made.set(name, (made = make(file).then(() => file)))
    return made
  }
}

const nameOf = ({ rows, order, badEvery = 0 }: RowsSpec): string => `${rows}-${order}-${badEvery}`

const partOf = (dir: string, i: number): string => path.join(dir, `${i}.csv`)

/** A file as what `produceBatch` takes. */
export const readPieces = (file: string): AsyncIterable<Uint8Array> =>
  createReadStream(file, { highWaterMark: 1 << 20 })
