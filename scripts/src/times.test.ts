import { describe, expect, it } from '@jest/globals'
import { parseDeadline, parseDuration, parsePast } from './times.ts'

describe('parseDuration', () => {
  it.each([
    ['90', 90],
    ['90s', 90],
    ['10m', 600],
    ['1h30m', 5400],
    ['0.5h', 1800],
    ['2d', 172_800],
  ])('reads %s', (text, seconds) => expect(parseDuration(text)).toBe(seconds))

  it.each(['', '0', '0s', '-5s', 'm', '10 m', '1.5.2s', '10min', '+5m'])('refuses %j', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  )
})

describe('parseDeadline', () => {
  const now = new Date('2026-01-31T08:00:00Z')

  it.each([
    ['2026-02-01T00:00:00Z', '2026-02-01T00:00:00.000Z'],
    ['2026-02-01T01:30:00.25+01:30', '2026-02-01T00:00:00.250Z'],
    ['+10m', '2026-01-31T08:10:00.000Z'],
    ['+1h30m', '2026-01-31T09:30:00.000Z'],
  ])('turns %s into the form of the wire', (text, wire) => expect(parseDeadline(text, now)).toBe(wire))

  it.each([
    '10m',
    '+',
    '+x',
    'tomorrow',
    '2026-02-30T00:00:00Z',
    '2026-02-01',
    '2026-02-01T24:00:00Z',
    '2026-02-01T00:00:00',
  ])('refuses %j', (text) => expect(parseDeadline(text, now)).toBeUndefined())
})

describe('parsePast', () => {
  const now = new Date('2026-01-31T08:00:00Z')

  it.each([
    ['2h', '2026-01-31T06:00:00.000Z'],
    ['1d12h', '2026-01-29T20:00:00.000Z'],
    ['2026-01-30T01:00:00+01:00', '2026-01-30T00:00:00.000Z'],
  ])('reads %s', (text, time) => expect(parsePast(text, now)).toBe(Date.parse(time)))

  it.each(['', '+2h', '-2h', 'yesterday', '2026-02-30T00:00:00Z', '2026-01-31'])('refuses %j', (text) =>
    expect(parsePast(text, now)).toBeUndefined(),
  )
})
