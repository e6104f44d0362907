import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { DumpReader } from './dump-reader.ts'
import { type Row, TABLES, type TableName } from './dump-rows.ts'

type Values = (string | null)[]
type Rows = { table: TableName; order: number[]; rows: Values[]; form: Form }[]
type Form = 'copy' | 'inserts' | 'column inserts' | 'one insert' | 'escape strings'

function read(text: string, blocks: number): Record<TableName, Values[]> {
  const seen: Record<TableName, Values[]> = { regions: [], ports: [], prices: [] }
  const take = (table: TableName) => (row: Row) =>
    void seen[table].push(TABLES[table].map((_, column) => row.text(column)))
  const reader = new DumpReader({ region: take('regions'), port: take('ports'), price: take('prices') })
  const lines = Buffer.from(text)
    .toString('latin1')
    .split(/(?<=\n)/)
  const each = Math.ceil(lines.length / blocks)
  for (let i = 0; i < lines.length; i += each) reader.push(Buffer.from(lines.slice(i, i + each).join(''), 'latin1'))
  reader.end()
  return seen
}

// As src/backend/commands/copyto.c and appendStringLiteral of pg_dump write them.
const COPY_ESCAPES: Record<string, string> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\b': '\\b',
  '\f': '\\f',
  '\v': '\\v',
}
const copyField = (value: string | null): string =>
  value === null ? '\\N' : value.replace(/[\\\t\n\r\b\f\v]/g, (c) => COPY_ESCAPES[c]!)
const literal = (value: string | null): string => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`)
const escapeString = (value: string | null): string =>
  value === null ? 'NULL' : ` E'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`

function write(dump: Rows): string {
  return dump
    .map(({ table, order, rows, form }) => {
      const columns = order.map((place) => TABLES[table][place]!)
      const inOrder = rows.map((row) => order.map((place) => row[place]!))
      const list = `(${columns.join(', ')})`
      if (form === 'copy') {
        const lines = inOrder.map((row) => `${row.map(copyField).join('\t')}\n`).join('')
        return `COPY public.${table} ${list} FROM stdin;\n${lines}\\.\n`
      }
      const quote = form === 'escape strings' ? escapeString : literal
      const tuple = (row: Values): string => `(${row.map(quote).join(', ')})`
      if (form === 'one insert') {
        if (rows.length === 0) return ''
        return `INSERT INTO public.${table} ${list} VALUES\n\t${inOrder.map(tuple).join(',\n\t')};\n`
      }
      const named = form === 'inserts' ? '' : `${list} `
      const tuples = form === 'inserts' ? rows : inOrder
      return tuples.map((row) => `INSERT INTO public.${table} ${named}VALUES ${tuple(row)};\n`).join('')
    })
    .join("\n-- a comment; with 'a quote\n\n")
}

const value = fc.option(
  fc
    .oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({
        unit: fc.constantFrom(
          '\\',
          "'",
          '"',
          '\t',
          '\n',
          '\r',
          '\b',
          '\f',
          '\v',
          'N',
          '.',
          'x41',
          ';',
          '$',
          '--',
          ',',
          'é',
          '港',
        ),
      }),
    )
    .filter((text) => !text.includes('\0') && text.isWellFormed()),
  { freq: 8 },
)
const table = fc.constantFrom<TableName>('regions', 'ports', 'prices').chain((name) =>
  fc.record({
    table: fc.constant(name),
    order: fc.shuffledSubarray(
      TABLES[name].map((_, i) => i),
      { minLength: TABLES[name].length },
    ),
    rows: fc.array(fc.tuple(...TABLES[name].map(() => value)) as fc.Arbitrary<Values>, { maxLength: 8 }),
    form: fc.constantFrom<Form>('copy', 'inserts', 'column inserts', 'one insert', 'escape strings'),
  }),
)

describe('DumpReader', () => {
  it('reads back whatever rows were written, in every form, however the text is cut into blocks', () => {
    fc.assert(
      fc.property(fc.array(table, { maxLength: 5 }), fc.integer({ min: 1, max: 5 }), (dump, blocks) => {
        const expected: Record<TableName, Values[]> = { regions: [], ports: [], prices: [] }
        for (const { table, rows } of dump) expected[table].push(...rows)
        expect(read(`CREATE TABLE public.ports ();\n${write(dump)}`, blocks)).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  it('reads the escapes of COPY that pg_dump itself does not write', () => {
    const { ports } = read("COPY ports FROM stdin;\n\\101\\x42C\t\\q\\'\t\\N\n\\.\n", 1)
    expect(ports).toEqual([['ABC', "q'", null]])
  })

  it('takes backslashes in plain strings as escapes where the dump says so', () => {
    const insert = `INSERT INTO ports VALUES ('a\\\\b', 'c\\'d', 'e');\n`
    expect(read(`SET standard_conforming_strings = off;\n${insert}`, 1).ports).toEqual([['a\\b', "c'd", 'e']])
  })

  it('sees no dump in what a dump quotes', () => {
    const quoted = `COMMENT ON TABLE public.ports IS 'a
COPY public.users (id) FROM stdin;
';
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT $$
DELETE FROM ports;
$$ $_$;
/* DELETE /* FROM */ ports; */
CREATE TABLE public.ports (code text);
`
    expect(read(quoted, 3)).toEqual({ regions: [], ports: [], prices: [] })
  })

  it('reads a line end within a string as LF where the file has CRLF, and as it stands elsewhere', () => {
    const insert = `INSERT INTO ports VALUES ('a', 'two\r\nlines', 'c');\r\n`
    expect(read(`-- CRLF\r\n${insert}`, 2).ports).toEqual([['a', 'two\nlines', 'c']])
    expect(read(`-- LF\n${insert}`, 2).ports).toEqual([['a', 'two\r\nlines', 'c']])
  })

  it('takes two INSERTs of one line for what each is', () => {
    const row = `('a', 'b', 'c');`
    const lines = `INSERT INTO regions VALUES ${row} INSERT INTO ports VALUES ${row}\nINSERT INTO regions VALUES ${row}\n`
    const { regions, ports } = read(lines + lines, 2)
    expect([regions.length, ports.length]).toEqual([4, 2])
  })
})
