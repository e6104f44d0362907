import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { CommandFailure, EXIT } from './exit.ts'

/** Writes a file under another name until all is there: nobody takes a part for the whole. @throws CommandFailure */
export async function writeWhole(file: string, content: AsyncIterable<string | Uint8Array>): Promise<void> {
  const draft = `${file}.part`
  try {
    await pipeline(content, createWriteStream(draft))
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof CommandFailure || code === undefined) throw error
    // Behind the comma is the draft's name.
    throw new CommandFailure(EXIT.usage, `${file} cannot be written: ${message.replace(/,.*/, '')}.`, error)
  }
}
