import { describe, expect, it } from '@jest/globals'
import { readQuery } from './ask.ts'

const read = (options: Partial<Parameters<typeof readQuery>[1]>, argument?: string): string =>
  readQuery(argument, { wait: 30, ...options })
const parsed = (options: Parameters<typeof read>[0]): unknown => JSON.parse(read(options))
const places = { from: 'CNSGH', to: 'north_europe_main', dateFrom: '2026-01-01', dateTo: '2026-01-10' }

describe('readQuery', () => {
  it('has the parameters of HTTP, as text', () => {
    const rates = { date_from: '2026-01-01', date_to: '2026-01-10', orig_code: 'CNSGH', dest_code: 'north_europe_main' }
    expect(parsed(places)).toEqual({ query: 'rates', ...rates })
    expect(parsed({ ...places, explain: true, format: 'csv' })).toEqual({
      query: 'rates',
      ...rates,
      explain: 'true',
      format: 'csv',
    })
    expect(parsed({ batch: 'b', dryRun: true })).toEqual({ query: 'batch', id: 'b', dryRun: 'true' })
    expect(parsed({ errors: 'b', format: 'ndjson' })).toEqual({ query: 'errors', id: 'b', format: 'ndjson' })
  })

  it('sends what is given as it is: the platform says what is wrong with it', () => {
    expect(read({}, '{"query": "rates"')).toBe('{"query": "rates"')
    expect(read({}, '-')).toBe('-')
  })

  it.each<[Parameters<typeof read>[0], string | undefined, string]>([
    [{}, undefined, 'One of these is wanted'],
    [{ batch: 'b', errors: 'b' }, undefined, 'One of these is wanted'],
    [{ batch: 'b' }, '-', 'One of these is wanted'],
    [{ from: 'CNSGH' }, undefined, '--to and --date-from and --date-to are missing'],
    [{ explain: true }, undefined, '--from and --to'],
    [{ ...places, dryRun: true }, undefined, '--dry-run goes with --batch'],
    [{ ...places, format: 'ndjson' }, undefined, '--format ndjson goes with --errors'],
    [{ batch: 'b', format: 'csv' }, undefined, '--format goes with'],
    [{ format: 'csv' }, '{}', '--format goes with'],
    [{ dryRun: true }, '{}', '--dry-run goes with'],
    [{ output: 'f' }, '-', '--output goes with'],
    [{ ...places, output: 'f', json: true }, undefined, '--json does not go with --output'],
    [{}, 'x'.repeat(500_001), 'QUERY is too long'],
  ])('refuses %j with %s as wrong usage', (options, argument, message) => {
    expect(() => read(options, argument)).toThrow(
      expect.objectContaining({ code: 2, message: expect.stringContaining(message) }),
    )
  })
})
