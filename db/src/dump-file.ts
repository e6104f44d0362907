import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { DumpRefused } from './dump-refused.ts'

const READ_BYTES = 256 * 1024

/** Where a dump's bytes are. It is read twice: first to check it, then to send its prices. */
export interface DumpSource {
  /** In bytes. */
  size: number
  /** From its start. */
  read(): AsyncIterable<Buffer>
}

export async function fileSource(path: string): Promise<DumpSource> {
  const about = await stat(path)
  if (!about.isFile()) throw new DumpRefused(null, 'a dump is read twice, so it must be a file, not a pipe or a folder')
  return { size: about.size, read: () => createReadStream(path, { highWaterMark: READ_BYTES }) }
}
