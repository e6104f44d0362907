import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { formatDay, parseDay, readRatesQuery } from './rates-query.ts'

const asked = { date_from: '2021-01-01', date_to: '2021-01-31', orig_code: 'CNGGZ', dest_code: 'EETLL' }

describe('a date', () => {
  it.each([
    ['1970-01-01', 0],
    ['2021-01-05', 18632],
    ['2021-1-5', 18632],
    ['2021-01- 5', 18632],
    ['2020-02-29', 18321],
    ['0001-01-01', -719162],
    ['9999-12-31', 2932896],
  ])('%s is day %i', (text, day) => expect(parseDay(text)).toBe(day))

  it.each([
    '',
    '2021-02-29',
    '2021-02-30',
    '2021-04-31',
    '2021-13-01',
    '2021-00-01',
    '2021-01-00',
    '2021-01-32',
    '2021-001-01',
    '2021-01-005',
    '2021- 1-05',
    '0000-01-01',
    '21-01-05',
    '12021-01-05',
    '+2021-01-05',
    '-2021-01-05',
    '05-01-2021',
    '2021/01/05',
    '20210105',
    '2021-01-05T00:00:00',
    '2021-01-05 ',
    ' 2021-01-05',
    '2021-01-05\n',
    '2021-01-0٥',
    'today',
  ])('%j is none', (text) => expect(parseDay(text)).toBeUndefined())

  it('is written as it was read', () => {
    fc.assert(
      fc.property(fc.integer({ min: -719162, max: 2932896 }), (day) => {
        expect(formatDay(day)).toMatch(/^\d{4}-\d{2}-\d{2}$/)
        expect(parseDay(formatDay(day))).toBe(day)
      }),
    )
  })
})

describe('the parameters of GET /rates', () => {
  it('are read', () => {
    expect(readRatesQuery(asked)).toEqual({
      from: 18628,
      to: 18658,
      origin: 'CNGGZ',
      destination: 'EETLL',
      explain: false,
    })
  })

  it('are not trimmed, nor changed in case', () => {
    expect(readRatesQuery({ ...asked, orig_code: ' cnggz ' })).toMatchObject({ origin: ' cnggz ' })
  })

  it.each([
    ['no date', { date_from: undefined }, 'Invalid date arguments'],
    ['an empty date', { date_to: '' }, 'Invalid date arguments'],
    ['no such date', { date_to: '2021-02-30' }, 'Invalid date arguments'],
    ['a place left out', { orig_code: undefined }, 'Invalid location arguments'],
    ['an empty place', { dest_code: '' }, 'Invalid location arguments'],
    ['a bad date and no place', { date_from: 'x', dest_code: '' }, 'Invalid date arguments'],
    ['no place and too many days', { date_to: '2099-01-01', dest_code: '' }, 'Invalid location arguments'],
    ['another word to explain', { explain: 'yes', date_from: '2011-01-01' }, 'Invalid explain argument'],
    ['no place and another word to explain', { explain: '1', dest_code: '' }, 'Invalid location arguments'],
    ['too many days to explain', { explain: 'true', date_from: '2020-01-31' }, 'Range too long'],
    ['too many days', { date_from: '2011-01-01', date_to: '2021-01-08' }, 'Range too long'],
    ['another format', { format: 'xml' }, 'Invalid format argument'],
    ['another format and anything else', { format: 'xml', date_from: '2011-01-01', explain: '' }, 'Range too long'],
    ['a first date that is bad', { date_from: ['x', '2021-01-01'] }, 'Invalid date arguments'],
    ['a first place that is empty', { orig_code: ['', 'CNGGZ'] }, 'Invalid location arguments'],
  ])('with %s are refused', (_, change, fault) => {
    expect(readRatesQuery({ ...asked, ...change })).toBe(fault)
  })

  it('of a repeated one the first counts', () => {
    const twice = { ...asked, date_to: ['2021-01-02', 'x'], orig_code: ['A', ''] }
    expect(readRatesQuery(twice)).toMatchObject({ to: 18629, origin: 'A' })
  })

  it.each([
    ['csv', 'csv'],
    ['json', 'json'],
    ['', undefined],
    [['csv', 'xml'], 'csv'],
  ])('may ask for the format %j', (format, expected) => {
    expect(readRatesQuery({ ...asked, format })).toMatchObject({ format: expected })
  })

  it('may ask for the batches behind 366 days', () => {
    const year = { ...asked, date_from: '2020-02-01' }
    expect(readRatesQuery({ ...year, explain: 'true' })).toMatchObject({ explain: true, to: 18658 })
    for (const explain of ['false', '', ['false', 'true']]) {
      expect(readRatesQuery({ ...year, explain })).toMatchObject({ explain: false })
    }
  })

  it('may ask for 3 660 days, and for a range that ends before it begins', () => {
    expect(readRatesQuery({ ...asked, date_from: '2011-01-01', date_to: '2021-01-07' })).toMatchObject({ to: 18634 })
    expect(readRatesQuery({ ...asked, date_from: '9999-12-31', date_to: '0001-01-01' })).toMatchObject({ to: -719162 })
  })
})
