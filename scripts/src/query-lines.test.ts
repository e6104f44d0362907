import { describe, expect, it } from '@jest/globals'
import { MAX_QUERY_BYTES } from './asker.ts'
import { queryLines } from './query-lines.ts'

async function lines(...pieces: string[]): Promise<string[]> {
  const found: string[] = []
  const input = (async function* () {
    for (const piece of pieces) yield await Promise.resolve(Buffer.from(piece))
  })()
  for await (const line of queryLines(input)) found.push(Buffer.from(line).toString())
  return found
}

describe('queryLines', () => {
  it('cuts lines wherever the pieces end, and leaves blank ones out', async () => {
    expect(await lines('{"a":1}\n\n {"b', '":2}', '\r\n\r\n{"c":3}')).toEqual(['{"a":1}', ' {"b":2}\r', '{"c":3}'])
    expect(await lines()).toEqual([])
    expect(await lines('\n\n')).toEqual([])
  })

  it('refuses a line that no query is as long as, before all of it has come', async () => {
    const long = 'x'.repeat(MAX_QUERY_BYTES)
    expect((await lines(`${long}\n`)).length).toBe(1)
    await expect(lines('{}\n', long, 'x', 'never read')).rejects.toMatchObject({
      code: 2,
      message: 'Line 2 of standard input has more than 500 000 bytes: no query has.',
    })
  })
})
