import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseCsv } from './csv.ts'
import { parseNdjson, parsePrices } from './ndjson.ts'
import { RowBuffer } from './row-buffer.ts'
import { ports, priceRow, rowsOf, type PriceRow } from '@rates/testing/price-rows'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function parse(text: string): RowBuffer {
  const rows = new RowBuffer()
  parseNdjson(bytes(text), ports, rows)
  return rows
}

const object = ({ orig, dest, day, price }: PriceRow) => ({ orig_code: orig, dest_code: dest, day, price })
const good = '{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":1154}'

describe('parseNdjson', () => {
  it.each([
    ['compact', good],
    ['spaces', ' { "orig_code" : "CNGGZ" ,\t"dest_code":"NLRTM", "day":"2021-01-31","price" : 1154 } '],
    ['another order', '{"price":1154,"day":"2021-01-31","dest_code":"NLRTM","orig_code":"CNGGZ"}'],
    ['escapes', '{"orig_code":"CN\\u0047GZ","dest_code":"NLRTM","day":"2021-01-31","price":1154}'],
    ['1154.0, which is the number 1154', '{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":1154.0}'],
  ])('takes %s', (_, line) => {
    const rows = parse(`${line}\r\n${line}`)
    expect(rows.rejections()).toEqual([])
    expect(rowsOf(rows, ports)).toEqual(Array(2).fill({ orig: 'CNGGZ', dest: 'NLRTM', day: '2021-01-31', price: 1154 }))
  })

  it.each([
    ['', 'json', null],
    ['[1]', 'json', null],
    ['null', 'json', null],
    ['{"orig_code":"CNGGZ"', 'json', null],
    ['{"orig_code":"CN\tGGZ","dest_code":"NLRTM"}', 'json', null],
    [good.replace('}', ',"note":"a\tb"}'), 'json', null],
    [`${good}x`, 'json', null],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31"}', 'missing_field', 'price'],
    ['{"orig_code":null,"dest_code":"NLRTM","day":"2021-01-31","price":1}', 'missing_field', 'orig_code'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":1,"currency":"USD"}', 'unknown_field', null],
    ['{"orig_code":5,"dest_code":"NLRTM","day":"2021-01-31","price":1}', 'text_expected', 'orig_code'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":20210131,"price":1}', 'text_expected', 'day'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":"1"}', 'not_a_whole_number', 'price'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":1.5}', 'not_a_whole_number', 'price'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":0}', 'price_out_of_range', 'price'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":-1}', 'price_out_of_range', 'price'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31","price":1e300}', 'price_out_of_range', 'price'],
    ['{"orig_code":"XX","dest_code":"NLRTM","day":"2021-01-31","price":1}', 'unknown_port', 'orig_code'],
    ['{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-02-30","price":1}', 'not_a_date', 'day'],
  ])('refuses %j: %s', (line, rule, field) => {
    const rows = parse(`${good}\n${line}\n${good}\n`)
    expect({ rows: rows.rows, accepted: rows.accepted }).toEqual({ rows: 3, accepted: 2 })
    expect(rows.rejected).toBe(1)
    expect(rows.rejections()[0]).toMatchObject({ row: 1, rule, field, text: line })
  })

  it('reads back any rows, as parsePrices and as CSV do, with the same digest', () => {
    fc.assert(
      fc.property(fc.array(priceRow), (list) => {
        const lines = parse(list.map((row) => `${JSON.stringify(object(row))}\n`).join(''))
        const whole = new RowBuffer()
        parsePrices(list.map(object), ports, whole)
        const csv = new RowBuffer()
        parseCsv(bytes(list.map((row) => `${row.orig},${row.dest},${row.day},${row.price}\n`).join('')), ports, csv)
        for (const rows of [lines, whole, csv]) {
          expect(rowsOf(rows, ports)).toEqual(list)
          expect(rows.digest.bytes()).toEqual(lines.digest.bytes())
        }
      }),
    )
  })

  it('gives bad rows the digest that CSV gives them, whatever the order of keys', () => {
    const bad = { orig_code: 'CNGGZ', dest_code: 'NLRTM', day: '2021-02-30', price: 7 }
    const csv = new RowBuffer()
    parseCsv(bytes('CNGGZ,NLRTM,2021-02-30,7\n'), ports, csv)
    const turned = Object.fromEntries(Object.entries(bad).reverse())
    for (const object of [bad, turned]) {
      const rows = parse(JSON.stringify(object))
      expect(rows.rejections()[0]).toMatchObject({ field: 'day', rule: 'not_a_date' })
      expect(rows.digest.bytes()).toEqual(csv.digest.bytes())
    }
  })

  it('tells the same fault of a row that it reads quickly and of one that JSON.parse has read', () => {
    const code = fc.constantFrom<unknown>('CNGGZ', 'NLRTM', 'XX', 'é', '', null, 5, -1.5, true, [1])
    const field = {
      orig_code: code,
      dest_code: code,
      day: fc.constantFrom<unknown>('2021-01-31', '2021-02-30', '1969-01-01', null, 20210131, {}),
      price: fc.constantFrom<unknown>(1154, 0, -3, 1.5, 2 ** 31, 1e21, '1154', null, false),
      currency: fc.constantFrom<unknown>('USD', 1, null, [], 'a\nb'),
      'n\u00e9\n': fc.constant(1),
    }
    const line = fc
      .tuple(fc.record(field, { requiredKeys: [] }), fc.constantFrom('', ' ', '\t'), fc.boolean())
      .map(([object, space, reverse]) => {
        const entries = Object.entries(object).map(
          ([key, value]) => `${space}${JSON.stringify(key)}${space}:${space}${JSON.stringify(value)}${space}`,
        )
        return `{${(reverse ? entries.reverse() : entries).join(',')}}`
      })
    fc.assert(
      fc.property(line, (text) => {
        const whole = new RowBuffer()
        parsePrices([JSON.parse(text)], ports, whole)
        const quick = parse(text)
        const told = (rows: RowBuffer) =>
          rows.rejections().map(({ row, field, rule, value }) => [row, field, rule, value])
        expect(told(quick)).toEqual(told(whole))
        expect(quick.accepted).toBe(whole.accepted)
        for (const { text: kept } of quick.rejections()) expect(kept).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  it('refuses a row of more than 65 536 bytes, and one that is nested deeper than can be shown', () => {
    const long = `{"orig_code":"${'X'.repeat(65_536)}","dest_code":"NLRTM","day":"2021-01-31","price":1}`
    const open = `{"orig_code":${'['.repeat(70_000)}`
    const rows = parse(`${long}\n${open}\n${good}\n`)
    expect([rows.rows, rows.accepted]).toEqual([3, 1])
    expect(rows.rejections().map(({ rule, value }) => [rule, value])).toEqual([
      ['row_too_long', `${long.length} bytes`],
      ['row_too_long', `${open.length} bytes`],
    ])
    const deep = `{"orig_code":${'['.repeat(30_000)}${']'.repeat(30_000)},"dest_code":"NLRTM","day":"2021-01-31","price":1}`
    expect(parse(deep).rejections()[0]).toMatchObject({ rule: 'text_expected', field: 'orig_code', value: '[[…]]' })
    const whole = new RowBuffer()
    parsePrices([JSON.parse(deep), JSON.parse('['.repeat(30_000) + ']'.repeat(30_000))], ports, whole)
    expect(whole.rejections().map(({ rule, text }) => [rule, text])).toEqual([
      ['text_expected', '{…}'],
      ['json', '[[…]]'],
    ])
  })

  it('takes exactly what JSON.parse takes', () => {
    const piece = fc.constantFrom(...'{}[]",:\\ \t'.split(''), '"price"', '"day"', '1', '01', '"2021-01-31"', good)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const line = pieces.join('')
        const rows = parse(`${line}\n`)
        let json: unknown
        try {
          json = JSON.parse(line)
        } catch {
          json = undefined
        }
        if (rows.accepted === 1) expect(typeof json).toBe('object')
        if (json === undefined) expect(rows.rejections()[0]?.rule).toBe('json')
      }),
      { numRuns: 400 },
    )
  })
})
