import { describe, expect, it } from '@jest/globals'
import { DumpRefused } from '@rates/db/dump-refused'
import { ImportRefused } from '@rates/db/import-batch'
import { NothingRuns } from '../running.ts'
import { explain, inWords } from './import.ts'

const none = { added: 0, changed: 0, unchanged: 20 }
const some = { added: 2, changed: 1, unchanged: 17 }
const outcome = {
  regions: none,
  ports: some,
  rows: 62_864,
  batchId: 'import-2483',
  alreadyImported: false,
  seconds: 1.23,
}

describe('the outcome of an import in words', () => {
  it('tells what is new', () => {
    expect(inWords(outcome)).toBe(
      'Imported in 1.2 s: regions: 0 new, 0 changed, 20 unchanged; ports: 2 new, 1 changed, 17 unchanged; ' +
        '62 864 prices as batch import-2483.',
    )
  })

  it('tells that nothing changed', () => {
    expect(inWords({ ...outcome, ports: none, alreadyImported: true })).toMatch(
      /^Nothing to do: this dump was imported before; its 62 864 prices are there as batch import-2483 \(/,
    )
    expect(inWords({ ...outcome, ports: none, rows: 0, batchId: null })).toMatch(
      /^Nothing to do: the dump holds no prices/,
    )
  })

  it('tells what is new beside prices that are there already', () => {
    expect(inWords({ ...outcome, alreadyImported: true })).toMatch(/1 changed.*; nothing to do for the prices:/)
    expect(inWords({ ...outcome, rows: 0, batchId: null })).toMatch(/^Imported in .*; the dump holds no prices\.$/)
  })
})

describe('the end of an import that fails', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const cases: [name: string, error: unknown, code: number, message: string][] = [
    ['a dump that is refused', new DumpRefused(7, 'damaged'), 1, 'prices.sql: line 7: damaged\nNothing was imported.'],
    ['a batch that is refused', new ImportRefused('import-1', 'was refused'), 1, 'prices.sql: was refused'],
    ['no such file', Object.assign(new Error('no'), { code: 'ENOENT' }), 2, 'There is no file prices.sql.'],
    ['nothing that runs', new NothingRuns('start it'), 3, 'start it'],
    ['a server that is away', refused, 3, 'PostgreSQL or Kafka cannot be reached: connect ECONNREFUSED 127.0.0.1:5432'],
    [
      'a server away on both addresses of its name',
      new AggregateError([refused]),
      3,
      'PostgreSQL or Kafka cannot be reached: connect',
    ],
    ['a database without schema', Object.assign(new Error('no'), { code: '42P01' }), 1, 'migrate it first'],
    ['a bug', new TypeError('x is not a function'), 1, 'x is not a function'],
  ]
  it.each(cases)('for %s', (_, error, code, message) => {
    const end = explain(error, 'prices.sql', false)
    expect(end.code).toBe(code)
    expect(end.message).toContain(message)
  })

  it('for an interruption, whatever it broke', () => {
    expect(explain(refused, 'prices.sql', true)).toMatchObject({ code: 130 })
  })
})
