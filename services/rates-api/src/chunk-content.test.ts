import { describe, expect, it } from '@jest/globals'
import { ChunkCutter, type BodyFormat } from '@rates/core/chunk-cutter'
import { CSV_HEADER as HEADER, parseCsv } from '@rates/core/csv'
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

/** The rows that an uploader counts. */
function cut(text: Uint8Array, format: BodyFormat): number {
  const cutter = new ChunkCutter(format, { maxBytes: 1 << 20 })
  for (const pieces of [cutter.push(text), cutter.finish()]) while (!pieces.next().done);
  return cutter.totalRows
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

  it.each([
    ['csv', ['CNGGZ,NLRTM,2021-01-01,1', '"', ',', '\n', '\r\n', `${HEADER}\n`, HEADER, '\uFEFF']],
    ['ndjson', ['{"orig_code":"A"}', '"', ' ', '\n', '\r\n', `${HEADER}\n`, '\uFEFF']],
  ] as const)('are those that an uploader cuts: %s', (format, pieces) => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (some) => {
        const text = Buffer.from(some.join(''))
        expect([text.toString(), countRows(text, format)]).toEqual([text.toString(), cut(text, format)])
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['csv', `CNGGZ,NLRTM,2021-01-01,${'1'.repeat(70_000)}\n`, 'CNGGZ,NLRTM,2021-01-01,1\n'],
    ['csv', `"${'x\n'.repeat(70_000)}",NLRTM,2021-01-01,1\n`, 'CNGGZ,NLRTM,2021-01-01,1\n'],
    ['ndjson', `{"orig_code":"${'x'.repeat(70_000)}"}\n`, '{}\n'],
  ] as const)('are counted and limited where one is too long, too: %s', async (format, long, row) => {
    const of = (rows: number, said: number | undefined) => {
      const body = Buffer.from(long + row.repeat(rows - 1))
      return { body, format, encoding: 'identity' as const, rows: said, sha256: undefined }
    }
    const most = of(MAX_CHUNK_ROWS, MAX_CHUNK_ROWS)
    expect(parsed(most.body, format)).toBe(MAX_CHUNK_ROWS)
    expect((await checkContent(most)).rows).toBe(MAX_CHUNK_ROWS)
    await expect(checkContent(of(MAX_CHUNK_ROWS + 1, undefined))).rejects.toThrow(`has ${MAX_CHUNK_ROWS + 1} rows`)
    await expect(checkContent(of(3, 7))).rejects.toThrow('has 3 rows, the header says 7')
  })
})
