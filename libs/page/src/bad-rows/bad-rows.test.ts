import { describe, expect, it } from '@jest/globals'
import { type BadRow } from '@rates/core/bad-rows'
import { countRules, cutField, filterRows } from './bad-rows.ts'

const row = (more: Partial<BadRow>): BadRow => ({
  row: 1,
  chunk: 0,
  rowInChunk: 1,
  field: 'dest_code',
  value: 'NLRTX',
  rule: 'unknown_port',
  text: 'CNSGH,NLRTX,2026-11-02,1840',
  ...more,
})

describe('the bad field', () => {
  it.each<[string, string | null, string, string, string]>([
    ['its column', 'dest_code', 'NLRTX', 'CNSGH,NLRTX,2026-11-02,1840', 'CNSGH,[NLRTX],2026-11-02,1840'],
    ['the first column', 'orig_code', 'XX', 'XX,NLRTM,2026-11-02,1', '[XX],NLRTM,2026-11-02,1'],
    ['one of two equal ones', 'dest_code', 'XX', 'XX,XX,2026-11-02,1', 'XX,[XX],2026-11-02,1'],
    ['a short one in its column', 'price', '-3', 'CNSGH,NLRTM,2026-11-03,-3', 'CNSGH,NLRTM,2026-11-03,[-3]'],
    ['within spaces', 'price', '0', 'A0,B0,2026-11-03, 0 ', 'A0,B0,2026-11-03, [0] '],
    ['its name in JSON', 'price', '-3', '{"day":"2026-11-30","price":-3}', '{"day":"2026-11-30","price":[-3]}'],
    ['its name in JSON, as a text', 'day', '3', '{"price":3, "day" : "3"}', '{"price":3, "day" : "[3]"}'],
    ['several places in what is no JSON', 'price', '3', '{price:3,day:3', 'none'],
    ['quotes', 'price', '1,420', 'A,B,2026-11-09,"1,420"', 'A,B,2026-11-09,"[1,420]"'],
    ['it is not there', 'day', '2026-11-31', 'A,B', 'none'],
    ['no field', null, 'A,B', 'A,B', 'none'],
    ['an empty one', 'price', '', 'A,B,2026-11-09,', 'none'],
  ])('%s', (_, field, value, text, expected) => {
    const cut = cutField(row({ field, value, text }))
    expect(cut === undefined ? 'none' : `${cut[0]}[${cut[1]}]${cut[2]}`).toBe(expected)
    expect(cut?.join('') ?? text).toBe(text)
  })
})

describe('the rows', () => {
  const rows = [
    row({ row: 1 }),
    row({ row: 12, rule: 'not_a_date', field: 'day', value: '2026-11-31', text: 'A,B,2026-11-31,1' }),
    row({ row: null, rule: 'not_a_date', field: 'day', value: 'soon', text: 'A,B,soon,1' }),
  ]
  const found = (rules: string[], text: string): (number | null)[] =>
    filterRows(rows, new Set(rules), text).map((each) => each.row)

  it('are counted by rule, the most first', () =>
    expect(countRules(rows)).toEqual([
      ['not_a_date', 2],
      ['unknown_port', 1],
    ]))

  it('are found by rule and text', () => {
    expect(found([], '')).toEqual([1, 12, null])
    expect(found(['not_a_date'], '')).toEqual([12, null])
    expect(found(['not_a_date', 'unknown_port'], '')).toEqual([1, 12, null])
    expect(found(['not_a_date'], ' SOON ')).toEqual([null])
    expect(found([], '12')).toEqual([12])
    expect(found([], 'nlrtx')).toEqual([1])
    expect(found(['unknown_port'], 'soon')).toEqual([])
  })
})
