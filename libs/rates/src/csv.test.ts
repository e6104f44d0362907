import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ChunkCutter } from './chunk-cutter.ts'
import { parseCsv } from './csv.ts'
import { formatDay } from './months.ts'
import { PortTable } from './port-table.ts'
import { RowBuffer, TooManyRows } from './row-buffer.ts'
import { codes, ports, priceRow, rowsOf, type PriceRow } from '@rates/testing/price-rows'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function parse(text: string | Uint8Array, table: PortTable = ports): RowBuffer {
  const rows = new RowBuffer()
  parseCsv(typeof text === 'string' ? bytes(text) : text, table, rows)
  return rows
}

const good = 'CNGGZ,NLRTM,2021-01-31,1154'

describe('parseCsv', () => {
  it.each([
    ['LF', `${good}\n`],
    ['no line break at the end', good],
    ['CRLF', `${good}\r\n`],
    ['a header line', `orig_code,dest_code,day,price\n${good}\n`],
    ['a header line with CRLF', `orig_code,dest_code,day,price\r\n${good}\r\n`],
    ['a byte order mark', `\uFEFF${good}\n`],
    ['a byte order mark and a header', `\uFEFForig_code,dest_code,day,price\n${good}\n`],
    ['quotes', `"CNGGZ","NLRTM","2021-01-31","1154"\n`],
    ['some quotes', `CNGGZ,"NLRTM",2021-01-31,1154\r\n`],
    ['leading zeros', `CNGGZ,NLRTM,2021-01-31,0001154\n`],
  ])('takes %s', (_, text) => {
    expect(rowsOf(parse(text), ports)).toEqual([{ orig: 'CNGGZ', dest: 'NLRTM', day: '2021-01-31', price: 1154 }])
  })

  it.each([
    ['', 'columns', null, '1 columns'],
    ['CNGGZ,NLRTM,2021-01-31', 'columns', null, '3 columns'],
    [`${good},x`, 'columns', null, '5 columns'],
    [`"CNGGZ,NLRTM,2021-01-31,1154`, 'quotes', null, '"'],
    [`"CNGGZ"x,NLRTM,2021-01-31,1154`, 'quotes', null, '"'],
    ['XXXXX,NLRTM,2021-01-31,1154', 'unknown_port', 'orig_code', 'XXXXX'],
    ['CNGGZ,nlrtm,2021-01-31,1154', 'unknown_port', 'dest_code', 'nlrtm'],
    ['CNGGZ, NLRTM,2021-01-31,1154', 'unknown_port', 'dest_code', ' NLRTM'],
    ['CNGGZ,NLRTM,2021-02-29,1154', 'not_a_date', 'day', '2021-02-29'],
    ['CNGGZ,NLRTM,2100-02-29,1154', 'not_a_date', 'day', '2100-02-29'],
    ['CNGGZ,NLRTM,2021-1-31,1154', 'not_a_date', 'day', '2021-1-31'],
    ['CNGGZ,NLRTM,2021-13-01,1154', 'not_a_date', 'day', '2021-13-01'],
    ['CNGGZ,NLRTM,2021-01-00,1154', 'not_a_date', 'day', '2021-01-00'],
    ['CNGGZ,NLRTM,31-01-2021,1154', 'not_a_date', 'day', '31-01-2021'],
    ['CNGGZ,NLRTM,2021-01-31T00:00,1154', 'not_a_date', 'day', '2021-01-31T00:00'],
    ['CNGGZ,NLRTM,1969-12-31,1154', 'date_out_of_range', 'day', '1969-12-31'],
    ['CNGGZ,NLRTM,2200-01-01,1154', 'date_out_of_range', 'day', '2200-01-01'],
    ['CNGGZ,NLRTM,2200-02-30,1154', 'not_a_date', 'day', '2200-02-30'],
    ['CNGGZ,NLRTM,2021-01-31,', 'not_a_whole_number', 'price', ''],
    ['CNGGZ,NLRTM,2021-01-31,1154.0', 'not_a_whole_number', 'price', '1154.0'],
    ['CNGGZ,NLRTM,2021-01-31,+1', 'not_a_whole_number', 'price', '+1'],
    ['CNGGZ,NLRTM,2021-01-31,1e3', 'not_a_whole_number', 'price', '1e3'],
    ['CNGGZ,NLRTM,2021-01-31,1154 ', 'not_a_whole_number', 'price', '1154 '],
    ['CNGGZ,NLRTM,2021-01-31,0', 'price_out_of_range', 'price', '0'],
    ['CNGGZ,NLRTM,2021-01-31,-5', 'price_out_of_range', 'price', '-5'],
    ['CNGGZ,NLRTM,2021-01-31,2147483648', 'price_out_of_range', 'price', '2147483648'],
    ['CNGGZ,NLRTM,2021-01-31,99999999999999999999', 'price_out_of_range', 'price', '99999999999999999999'],
  ])('refuses %j: %s', (line, rule, field, value) => {
    // A good row before and after: one bad row costs no other.
    const rows = parse(`${good}\n${line}\n${good}\n`)
    if (rule === 'quotes' && line.startsWith('"CNGGZ,')) expect(rows.rows).toBe(2)
    else expect({ rows: rows.rows, accepted: rows.accepted }).toEqual({ rows: 3, accepted: 2 })
    expect(rows.rejected).toBe(1)
    expect(rows.rejections()[0]).toMatchObject({ row: 1, rule, field, value })
  })

  it('takes the extremes', () => {
    const text = 'CNGGZ,NLRTM,1970-01-01,1\nCNGGZ,NLRTM,2199-12-31,2147483647\nCNGGZ,NLRTM,2000-02-29,5\n'
    expect(rowsOf(parse(text), ports).map(({ day, price }) => [day, price])).toEqual([
      ['1970-01-01', 1],
      ['2199-12-31', 2_147_483_647],
      ['2000-02-29', 5],
    ])
  })

  it('shortens what it reports', () => {
    const { value, text } = parse(`CNGGZ,${'X'.repeat(5_000)},2021-01-31,5\n`).rejections()[0]!
    expect(value).toHaveLength(100)
    expect(text).toHaveLength(1_000)
  })

  it('refuses a row of more than 65 536 bytes, and costs its neighbours nothing', () => {
    const long = `CNGGZ,${'X'.repeat(65_536)},2021-01-31,5`
    const open = `CNGGZ,"NLRTM,2021-01-31,5\n${`${good}\n`.repeat(5_000)}`
    const rows = parse(`${good}\n${long}\n${good}\n${open}`)
    expect([rows.rows, rows.accepted]).toEqual([4, 2])
    expect(rows.rejections().map(({ row, rule, value }) => [row, rule, value])).toEqual([
      [1, 'row_too_long', `${long.length} bytes`],
      [3, 'quotes', '"'],
    ])
  })

  it('takes 32 767 rows and no more', () => {
    expect(parse(`${good}\n`.repeat(32_767)).accepted).toBe(32_767)
    expect(() => parse(`${good}\n`.repeat(32_768))).toThrow(TooManyRows)
  })

  it('reads back any rows, quoted or not, with either line break', () => {
    const line = fc.tuple(
      priceRow,
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.map(([row, end, quotes]) => {
          const fields = [row.orig, row.dest, row.day, String(row.price)]
          return fields.map((field, i) => (quotes[i] ? `"${field}"` : field)).join(',') + end
        })
        const rows = parse(text.join(''))
        expect(rows.rejections()).toEqual([])
        expect(rowsOf(rows, ports)).toEqual(lines.map(([row]) => row))
      }),
    )
  })

  it('never throws on any bytes, and accounts for every row', () => {
    const alphabet = fc.constantFrom(...'CNGZLRTM,,,,"\n\r0123456789-x\u00e9')
    fc.assert(
      fc.property(fc.array(fc.oneof(alphabet, fc.constant(good), fc.constant(`${good}\n`))), (parts) => {
        const rows = parse(parts.join(''))
        expect(rows.accepted + rows.rejections().length).toBe(rows.rows)
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['after the first code', 'CNGGZ\nNLRTM,2021-01-31,1154\n', 2],
    ['after the second code', 'CNGGZ,NLRTM\n2021-01-31,1154\n', 2],
    ['after both', 'CNGGZ\nNLRTM\n2021-01-31,1154\n', 3],
  ])('takes no line break for a comma: %s', (_, text, lines) => {
    const rows = parse(text)
    expect([rows.accepted, rows.rows]).toEqual([0, lines])
  })

  it('counts rows as the cutter does', () => {
    const between = fc.constantFrom(',', ',', ',', '\n', '\r\n', '"', 'x')
    const row = fc.tuple(between, between, between, between)
    const text = (rows: string[][]): string =>
      rows.map(([a, b, c, d]) => `CNGGZ${a}NLRTM${b}2021-01-31${c}7${d}`).join('')
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), (rows) => {
        const body = bytes(`${good}\n${text(rows)}`)
        const cutter = new ChunkCutter('csv', { maxBytes: 1_000_000 })
        const chunks = [...cutter.push(body), ...cutter.finish()]
        expect(parse(body).rows).toBe(chunks.reduce((sum, chunk) => sum + chunk.rows, 0))
      }),
      { numRuns: 2_000 },
    )
  })

  it('finds any code, also those that are not five letters', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: fc.constantFrom(...'ABcd01é_'), minLength: 1, maxLength: 12 }), {
          minLength: 1,
          maxLength: 60,
        }),
        (names) => {
          const table = new PortTable(names.map((code, i) => ({ code, id: i + 100 })))
          const rows = parse(names.map((code) => `${code},${names[0]},2021-01-31,7\n`).join(''), table)
          expect(Array.from(rows.orig.subarray(0, rows.accepted), (index) => table.ids[index])).toEqual(
            names.map((_, i) => i + 100),
          )
        },
      ),
    )
  })

  it('has the months of the calendar', () => {
    for (let month = 0; month < 230 * 12; month++) {
      const date = new Date(Date.UTC(1970, month, 1))
      expect(formatDay(month, 0)).toBe(date.toISOString().slice(0, 10))
    }
  })

  it('keeps the model honest', () => {
    const row: PriceRow = { orig: codes[0]!, dest: codes[1]!, day: '2021-01-31', price: 1 }
    expect(rowsOf(parse(`${row.orig},${row.dest},${row.day},2\n`), ports)).not.toEqual([row])
  })
})
