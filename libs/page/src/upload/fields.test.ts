import { describe, expect, it } from '@jest/globals'
import { faultsOf, newId, NO_FIELDS, parametersOf, toUtc } from './fields.ts'

describe('what is said of a batch', () => {
  it('may be nothing', () => {
    expect(faultsOf(NO_FIELDS)).toEqual({})
    expect(parametersOf(NO_FIELDS, 'a', false)).toBe('id=a')
  })

  it('goes into the address, whatever its letters', () => {
    const fields = { source: 'Çelik & Söhne', id: 'acme:1', deadline: '2026-11-21T08:00', replaces: 'acme:0' }
    expect(faultsOf(fields)).toEqual({})
    expect(Object.fromEntries(new URLSearchParams(parametersOf(fields, 'check-1', true)))).toEqual({
      id: 'check-1',
      source: 'Çelik & Söhne',
      deadline: new Date(2026, 10, 21, 8).toISOString(),
      replaces: 'acme:0',
      dryRun: 'true',
    })
  })

  it.each(['a b', 'ä', 'x'.repeat(129), 'a/b'])('has no id %j', (id) => {
    expect(Object.keys(faultsOf({ ...NO_FIELDS, id, replaces: id }))).toEqual(['id', 'replaces'])
  })

  it('has a deadline of UTC, which the clock here shows otherwise', () => {
    expect(toUtc('2026-07-01T12:30')).toBe(new Date(2026, 6, 1, 12, 30).toISOString())
    expect(toUtc('tomorrow')).toBeNull()
    expect(faultsOf({ ...NO_FIELDS, deadline: 'tomorrow' })).toEqual({ deadline: 'Not a time.' })
  })

  it('has an id of its own', () => {
    const id = newId(Date.UTC(2026, 10, 21, 8, 0, 5), Uint8Array.of(0, 10, 255))
    expect(id).toBe('upload-20261121T080005-000aff')
    expect(faultsOf({ ...NO_FIELDS, id })).toEqual({})
  })
})
