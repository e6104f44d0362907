import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readRejections, RejectionLog } from './rejection-log.ts'
import { FIELDS, RULES, type Rejection } from './rejection.ts'

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

describe('the log of bad rows', () => {
  it('gives back what it took: rows, rules, fields, values of the row or not, texts of any kind', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
      fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀'), minLength: 240, maxLength: 1_200 }),
    )
    const entry = fc.record({
      gap: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 32_000 })),
      field: fc.integer({ min: 0, max: 4 }),
      rule: fc.constantFrom(...RULES),
      before: text,
      value: text,
      after: text,
      apart: fc.boolean(),
    })
    const log = new RejectionLog()
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        log.reset()
        const expected: Rejection[] = []
        let row = 0
        for (const { gap, field, rule, before, value, after, apart } of entries) {
          row += gap
          const [head, middle] = [Buffer.from(before), Buffer.from(value)]
          const bytes = Buffer.concat([Buffer.from('left out'), head, middle, Buffer.from(after), Buffer.from('too')])
          const [start, end] = [8, bytes.length - 3]
          const from = start + head.length
          if (apart) log.addText(row, field, rule, bytes, start, end, value)
          else log.addSpan(row, field, rule, bytes, start, end, from, from + middle.length)
          expected.push({
            row,
            field: FIELDS[field - 1] ?? null,
            rule,
            value: shorten(value, 100),
            text: shorten(before + value + after, 1_000),
          })
        }
        // More than 100 bytes are shortened by characters; what is shortened loses at most a half of one.
        expect([...readRejections(log.bytes())].map(whole)).toEqual(expected.map(whole))
        expect(log.count).toBe(entries.length)
        const counts = RULES.map((rule) => [rule, entries.filter((each) => each.rule === rule).length] as const)
        expect(log.rules()).toEqual(Object.fromEntries(counts.filter(([, count]) => count > 0)))
      }),
    )
  })

  it('keeps what is no UTF-8 readable, and a byte order mark visible', () => {
    const log = new RejectionLog()
    const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x41, 0xff])
    log.addSpan(7, 1, 'unknown_port', bytes, 0, 5, 0, 5)
    expect([...readRejections(log.bytes())]).toEqual([
      { row: 7, field: 'orig_code', rule: 'unknown_port', value: '\uFEFFA\uFFFD', text: '\uFEFFA\uFFFD' },
    ])
  })

  it('says so where the bytes are of another format', () => {
    expect(() => [...readRejections(Buffer.from('{"row":1}'))]).toThrow('bad rows in format 123; this version reads 1')
  })

  it('forgets the memory of an uncommonly large chunk', () => {
    const log = new RejectionLog()
    const bytes = new Uint8Array(1_000)
    for (let row = 0; row < 8_000; row++) log.addSpan(row, 0, 'json', bytes, 0, 1_000, 0, 1)
    const large = log.bytes().buffer.byteLength
    log.reset()
    expect(large).toBeGreaterThan(8_000_000)
    expect(log.bytes().buffer.byteLength).toBe(65_536)
    expect([...readRejections(log.bytes())]).toEqual([])
  })
})

/** A character of two halves may be cut in the middle where a text is shortened. */
const whole = (rejection: Rejection): Rejection => ({
  ...rejection,
  value: rejection.value.replace(/[\ud800-\udbff\ufffd]…$/, '…'),
  text: rejection.text.replace(/[\ud800-\udbff\ufffd]…$/, '…'),
})
