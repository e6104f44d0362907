import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ChunkCutter, RowTooLong, type BodyFormat, type Chunk } from './chunk-cutter.ts'
import { parseCsv } from './csv.ts'
import { RowBuffer } from './row-buffer.ts'
import { ports } from '@rates/testing/price-rows'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (chunk: Chunk): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(chunk.body)

function cut(
  input: Uint8Array,
  format: BodyFormat,
  limits: { maxBytes: number; maxRows?: number },
  pieces: number[] = [],
): Chunk[] {
  const cutter = new ChunkCutter(format, limits)
  const chunks: Chunk[] = []
  let at = 0
  for (const piece of [...pieces, input.length]) {
    const end = Math.min(input.length, at + piece)
    chunks.push(...cutter.push(input.subarray(at, end)))
    at = end
  }
  chunks.push(...cutter.finish())
  return chunks
}

const line = fc.oneof(
  fc.constant('CNGGZ,NLRTM,2021-01-31,1154'),
  fc.constant('"CNGGZ","NL\nRTM",2021-01-31,5'),
  fc.string({ unit: fc.constantFrom(...'ab,"é\r'), maxLength: 30 }),
)
const input = fc
  .tuple(
    fc.constantFrom('', '\uFEFF'),
    fc.constantFrom('', 'orig_code,dest_code,day,price\n', 'orig_code,dest_code,day,price\r\n'),
    fc.array(line),
    fc.constantFrom('', '\n'),
  )
  .map(([mark, header, lines, end]) => ({ preamble: mark + header, data: lines.join('\n') + end }))

describe('ChunkCutter', () => {
  it('gives the same chunks whatever the pieces, and loses no byte of data', () => {
    fc.assert(
      fc.property(
        input,
        fc.array(fc.integer({ min: 1, max: 40 })),
        fc.integer({ min: 20, max: 200 }),
        ({ preamble, data }, pieces, maxBytes) => {
          const whole = cut(bytes(preamble + data), 'csv', { maxBytes })
          expect(cut(bytes(preamble + data), 'csv', { maxBytes }, pieces)).toEqual(whole)
          const joined = whole.map(text).join('')
          // A header line is left out where it is one, and a line that only looks like one is data.
          if (!data.startsWith('orig_code')) expect(joined).toBe(preamble === '' ? stripped(data) : data)
          expect(whole.map(({ index }) => index)).toEqual(whole.map((_, i) => i))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('counts rows as the parser does', () => {
    fc.assert(
      fc.property(input, fc.integer({ min: 20, max: 200 }), ({ preamble, data }, maxBytes) => {
        for (const chunk of cut(bytes(preamble + data), 'csv', { maxBytes })) {
          const rows = new RowBuffer()
          parseCsv(chunk.body, ports, rows)
          expect(rows.rows).toBe(chunk.rows)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('makes a header line in the middle a bad row wherever it is cut, as the parser sees it', () => {
    const row = 'CNGGZ,NLRTM,2021-01-31,1154\n'
    const header = fc.constantFrom('orig_code,dest_code,day,price\n', 'orig_code,dest_code,day,price\r\n')
    const start = fc.tuple(fc.constantFrom('', '\uFEFF'), header).map((parts) => parts.join(''))
    const file = fc.tuple(start, fc.integer({ min: 0, max: 6 }))
    const pieces = fc.array(fc.integer({ min: 1, max: 60 }))
    fc.assert(
      fc.property(
        fc.array(file, { minLength: 1, maxLength: 5 }),
        pieces,
        fc.integer({ min: 1, max: 5 }),
        (files, sizes, maxRows) => {
          const whole = bytes(files.map(([head, count]) => head + row.repeat(count)).join(''))
          const seen = cut(whole, 'csv', { maxBytes: 1_000, maxRows }, sizes).map(({ body, rows: counted }) => {
            const rows = new RowBuffer()
            parseCsv(body, ports, rows)
            expect(rows.rows).toBe(counted)
            return rows
          })
          const sum = (of: (rows: RowBuffer) => number): number => seen.reduce((all, rows) => all + of(rows), 0)
          expect(sum(({ accepted }) => accepted)).toBe(files.reduce((all, [, count]) => all + count, 0))
          expect(sum(({ rejected }) => rejected)).toBe(files.length - 1)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('keeps to both limits, and gives a row longer than a chunk one of its own', () => {
    const rows = Array.from({ length: 100 }, (_, i) => `row ${i}`.padEnd(i === 50 ? 60 : 9, '.'))
    const chunks = cut(bytes(`${rows.join('\n')}\n`), 'ndjson', { maxBytes: 50, maxRows: 4 })
    expect(chunks.map(text).join('')).toBe(`${rows.join('\n')}\n`)
    for (const chunk of chunks) {
      expect(chunk.rows).toBeLessThanOrEqual(4)
      if (chunk.rows > 1) expect(chunk.body.length).toBeLessThanOrEqual(50)
    }
    expect(chunks).toHaveLength(27) // 12 of four rows, then rows 48 and 49, row 50 alone, 12 of four, the last
  })

  it('has no chunk for an input without rows', () => {
    expect(cut(bytes(''), 'csv', { maxBytes: 100 })).toEqual([])
    expect(cut(bytes('\uFEFForig_code,dest_code,day,price\n'), 'csv', { maxBytes: 100 })).toEqual([])
  })

  it('refuses a row of more than 64 KiB and names it', () => {
    const open = bytes(`CNGGZ,NLRTM,2021-01-31,1\n"${'x\n'.repeat(40_000)}`)
    expect(() => cut(open, 'csv', { maxBytes: 900_000 })).toThrow(new RowTooLong(2))
    expect(() => cut(open, 'csv', { maxBytes: 900_000 }, Array<number>(80).fill(1024))).toThrow(/^row 2 is longer/)
  })
})

/** What the data has of a preamble by itself. */
function stripped(data: string): string {
  return data.replace(/^\uFEFF/, '')
}
