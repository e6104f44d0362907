import { describe, expect, it } from '@jest/globals'
import { parseCsv } from '@rates/core/csv'
import { MAX_CHUNK_ROWS } from '@rates/core/limits'
import { parseNdjson } from '@rates/core/ndjson'
import { PortTable } from '@rates/core/port-table'
import { RowBuffer } from '@rates/core/row-buffer'
import { csv, ndjson, randomLines } from '@rates/testing/batches'
import fc from 'fast-check'
import { checkContent, countRows } from './chunk-content.ts'

const ports = new PortTable([])
const parsers = { csv: parseCsv, ndjson: parseNdjson }

const rows = new RowBuffer()

/** The rows that a worker finds. */
function parsed(text: Uint8Array, format: 'csv' | 'ndjson'): number {
  rows.reset()
  parsers[format](text, ports, rows)
  return rows.rows
}

describe('the rows of a chunk', () => {
  it.each([
    [
      'csv',
      ['CNGGZ,NLRTM,2021-01-01,1', '"a""b', '"', ',', '\n', '\r\n', '\r', 'orig_code,dest_code,day,price', '\uFEFF'],
    ],
    ['ndjson', ['{"orig_code":"A"}', '"', '{', ' ', '\n', '\r\n', '\r', '\uFEFF']],
  ] as const)('are counted as parsing counts them: %s of any text', (format, pieces) => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (some) => {
        const text = Buffer.from(some.join(''))
        expect([text.toString(), countRows(text, format)]).toEqual([text.toString(), parsed(text, format)])
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['csv', csv],
    ['ndjson', ndjson],
  ] as const)('are counted in all of a large chunk: %s', (format, encode) => {
    const lines = randomLines(MAX_CHUNK_ROWS, { seed: 1, month: '2021-01', sorted: false })
    expect(countRows(encode(lines), format)).toBe(MAX_CHUNK_ROWS)
  })

  it('are not counted where one is too long: only its worker can tell where it ends', async () => {
    const body = Buffer.from(`"${'x'.repeat(70_000)}\nCNGGZ,NLRTM,2021-01-01,1\n`)
    expect(countRows(body, 'csv')).toBeUndefined()
    const checked = await checkContent({ body, format: 'csv', encoding: 'identity', rows: 7, sha256: undefined })
    expect(checked.rows).toBeUndefined()
  })
})
