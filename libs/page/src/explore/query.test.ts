import { describe, expect, it } from '@jest/globals'
import { faultOfRange, lengthOf, ratesPath, readQuery, until, writeQuery } from './query.ts'

const TODAY = '2026-11-21'
const read = (text: string) => readQuery(new URLSearchParams(text), TODAY)

describe('the address of the explorer', () => {
  it('shows the last 90 days without more words', () => {
    expect(read('')).toEqual({ orig: '', dest: '', from: '2026-08-24', to: TODAY, day: null })
    expect(lengthOf('2026-08-24', TODAY)).toBe(90)
  })

  it('says the same after it was read and written', () => {
    const address = 'orig=CNTXG&dest=north_europe&from=2024-02-29&to=2024-03-01&day=2024-02-29'
    expect(writeQuery(read(address))).toBe(`explore?${address}`)
  })

  it('ends 90 days after its beginning, or begins 90 days before its end', () => {
    expect(read('from=2026-01-01')).toMatchObject({ from: '2026-01-01', to: '2026-03-31' })
    expect(read('to=2026-03-31')).toMatchObject({ from: '2026-01-01', to: '2026-03-31' })
  })

  it.each(['2026-02-29', '2026-1-1', '1969-12-31', '2200-01-01', 'x', ''])('has no day %p', (day) => {
    expect(read(`from=${day}&to=${day}&day=${day}`)).toEqual(read(''))
  })

  it('forgets a day outside of the range', () => {
    expect(writeQuery({ ...read('from=2026-01-01&to=2026-01-31'), day: '2026-02-01' })).not.toContain('day=')
  })

  it('stays within the days that a price may have', () => {
    expect(read('to=1970-01-03')).toMatchObject({ from: '1970-01-01', to: '1970-01-03' })
    expect(read('from=2199-12-31')).toMatchObject({ from: '2199-12-31', to: '2199-12-31' })
    expect(until('1970-01-03', 365).from).toBe('1970-01-01')
  })
})

describe('a range', () => {
  it.each([
    ['2026-01-01', '2026-01-01', null],
    ['2026-01-02', '2026-01-01', 'The last day lies before the first one.'],
    ['2016-11-15', '2026-11-22', null],
    ['2016-11-15', '2026-11-23', 'These are 3661 days; 3660 (ten years) can be asked for at once.'],
  ])('from %s to %s', (from, to, fault) => expect(faultOfRange({ from, to })).toBe(fault))
})

it('asks for what it shows', () => {
  expect(ratesPath({ orig: "A'B", dest: 'x&y', from: '2026-01-01', to: '2026-01-31' }, { format: 'csv' })).toBe(
    'rates?date_from=2026-01-01&date_to=2026-01-31&orig_code=A%27B&dest_code=x%26y&format=csv',
  )
})
