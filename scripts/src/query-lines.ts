import { CommandFailure, EXIT } from './exit.ts'
import { MAX_QUERY_BYTES } from './asker.ts'
import { count } from './progress.ts'

const LINE_END = 0x0a

/** The lines of some input, as their bytes, without those that are blank. @throws CommandFailure for one too long */
export async function* queryLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0)
  let number = 0
  const checked = (line: Buffer): Buffer => {
    number++
    if (line.length <= MAX_QUERY_BYTES) return line
    const said = `Line ${count(number)} of standard input has more than ${count(MAX_QUERY_BYTES)} bytes: no query has.`
    throw new CommandFailure(EXIT.usage, said)
  }
  for await (const piece of input) {
    rest = Buffer.concat([rest, piece])
    let from = 0
    for (let to = rest.indexOf(LINE_END); to >= 0; to = rest.indexOf(LINE_END, from)) {
      const line = checked(rest.subarray(from, to))
      from = to + 1
      if (!isBlank(line)) yield line
    }
    rest = rest.subarray(from)
    if (rest.length > MAX_QUERY_BYTES) checked(rest)
  }
  if (!isBlank(rest)) yield checked(rest)
}

const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09)
