import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type KnownCatalogue } from './catalogue.ts'
import { checkDump } from './check-dump.ts'
import { pricesAsCsv } from './dump-csv.ts'
import { fileSource } from './dump-file.ts'

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'rates-dump-'))))
afterAll(() => rm(folder, { recursive: true }))

const EMPTY: KnownCatalogue = { regions: new Map(), ports: new Map() }
let files = 0

async function save(content: string | Uint8Array): Promise<string> {
  const file = join(folder, `dump-${files++}.sql`)
  await writeFile(file, content)
  return file
}
const check = async (content: string | Uint8Array, known = EMPTY) =>
  checkDump(await fileSource(await save(content)), known)
const refusal = async (content: string | Uint8Array, known = EMPTY): Promise<string> => {
  const error: unknown = await check(content, known).catch((fault: unknown) => fault)
  if (!(error instanceof Error) || error.name !== 'DumpRefused') throw new Error(`not refused: ${String(error)}`)
  return error.message
}
async function collect(blocks: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const block of blocks) text += block.toString()
  return text
}
async function csv(content: string | Uint8Array): Promise<string> {
  const file = await save(content)
  const { digest } = await checkDump(await fileSource(file), EMPTY)
  return collect(pricesAsCsv(await fileSource(file), digest))
}

const SETTINGS = `--
-- PostgreSQL database dump
--

\\restrict k6vHqR1

-- Dumped from database version 18.4

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.ports (
    code text DEFAULT 'a;b'::text NOT NULL
);
COMMENT ON TABLE public.ports IS 'it''s; COPY public.users (id) FROM stdin;';
CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $body$
COPY public.users (id) FROM stdin;
$body$;
CREATE FUNCTION public.g() RETURNS integer LANGUAGE sql BEGIN ATOMIC
 SELECT CASE WHEN true THEN 1 ELSE 2 END; DELETE FROM public.users;
END;
/* INSERT INTO users /* nested; */ VALUES (1); */

`
const END = `
\\unrestrict k6vHqR1

--
-- PostgreSQL database dump complete
--
`
const REGIONS = `COPY public.regions (slug, name, parent_slug) FROM stdin;
coast	The coast	sea
sea	The sea	\\N
\\.

`
const PORTS = `COPY public.ports (code, name, parent_slug) FROM stdin;
CNSHA	Shanghai	coast
NLRTM	Rotterdam	sea
\\.

`
const PRICES = `COPY public.prices (orig_code, dest_code, day, price) FROM stdin;
CNSHA	NLRTM	2026-07-01	3200
CNSHA	NLRTM	2026-07-01	3200
NLRTM	CNSHA	2026-07-31	480
\\.

`
const AS_COPY = SETTINGS + PORTS + PRICES + REGIONS + END
const CSV = 'CNSHA,NLRTM,2026-07-01,3200\nCNSHA,NLRTM,2026-07-01,3200\nNLRTM,CNSHA,2026-07-31,480\n'

const inserts = (columns: (list: string) => string, together = false): string => {
  const rows: [string, string, string[]][] = [
    ['prices', '(orig_code, dest_code, day, price) ', PRICES.split('\n').slice(1, 4)],
    ['ports', '(code, name, parent_slug) ', PORTS.split('\n').slice(1, 3)],
    ['regions', '(slug, name, parent_slug) ', REGIONS.split('\n').slice(1, 3)],
  ]
  const literal = (text: string): string => (text === '\\N' ? 'NULL' : /^\d+$/.test(text) ? text : `'${text}'`)
  const tuple = (line: string): string => `(${line.split('\t').map(literal).join(', ')})`
  const statements = rows.flatMap(([table, list, lines]) =>
    together
      ? [`INSERT INTO public.${table} ${columns(list)}VALUES\n\t${lines.map(tuple).join(',\n\t')};`]
      : lines.map((line) => `INSERT INTO public.${table} ${columns(list)}VALUES ${tuple(line)};`),
  )
  return `${SETTINGS}${statements.join('\n')}\n${END}`
}

describe('a dump of the original schema', () => {
  const forms: Record<string, string | Uint8Array> = {
    'COPY blocks': AS_COPY,
    'COPY blocks in another order': SETTINGS + REGIONS + PRICES + PORTS + END,
    'other columns first': AS_COPY.replace('(code, name, parent_slug)', '(name, code, parent_slug)')
      .replace('CNSHA\tShanghai', 'Shanghai\tCNSHA')
      .replace('NLRTM\tRotterdam', 'Rotterdam\tNLRTM'),
    'no lists of columns': AS_COPY.replace(/ \([a-z_, ]+\) FROM stdin;$/gm, ' FROM stdin;').replace(
      'users FROM',
      'users (id) FROM',
    ),
    'another schema': AS_COPY.replaceAll('public.p', 'freight.p').replaceAll('public.r', 'freight.r'),
    'no schema, quoted names': AS_COPY.replaceAll('public.prices', '"prices"').replaceAll('COPY public.', 'COPY '),
    'CRLF line ends': AS_COPY.replaceAll('\n', '\r\n'),
    'a byte order mark': `\ufeff${AS_COPY}`,
    gzip: gzipSync(AS_COPY),
    'two gzip members': Buffer.concat([gzipSync(AS_COPY.slice(0, 1000)), gzipSync(AS_COPY.slice(1000))]),
    '--inserts': inserts(() => ''),
    '--inserts with CRLF': inserts(() => '').replaceAll('\n', '\r\n'),
    '--column-inserts': inserts((list) => list),
    '--rows-per-insert': inserts(() => '', true),
    '--on-conflict-do-nothing': inserts(() => '').replaceAll(/\);$/gm, ') ON CONFLICT DO NOTHING;'),
    'everything on one line': inserts(() => '')
      .replaceAll(/^--.*|^\\.*/gm, '')
      .replaceAll('\n', ' '),
    'no last line end': (SETTINGS + PORTS + REGIONS + PRICES).trimEnd().replace('-- PostgreSQL database dump', ''),
  }
  for (const [name, content] of Object.entries(forms)) {
    it(`is read as ${name}`, async () => {
      const checked = await check(content)
      expect(checked.regions.sort((a, b) => (a.slug < b.slug ? -1 : 1))).toEqual([
        { slug: 'coast', name: 'The coast', parent: 'sea' },
        { slug: 'sea', name: 'The sea', parent: null },
      ])
      expect(checked.ports).toEqual([
        { code: 'CNSHA', name: 'Shanghai', region: 'coast' },
        { code: 'NLRTM', name: 'Rotterdam', region: 'sea' },
      ])
      expect({ rows: checked.rows, digest: checked.digest }).toEqual({
        rows: 3,
        digest: (await check(AS_COPY)).digest,
      })
      expect(await csv(content)).toBe(CSV)
    })
  }

  it('has a digest that follows the prices and not their order', async () => {
    const { digest } = await check(AS_COPY)
    const lines = PRICES.split('\n')
    const turned = [lines[0], ...lines.slice(1, 4).reverse(), ...lines.slice(4)].join('\n')
    expect((await check(AS_COPY.replace(PRICES, turned))).digest).toBe(digest)
    expect((await check(AS_COPY.replace('480', '481'))).digest).not.toBe(digest)
    expect((await check(AS_COPY.replace('Rotterdam', 'Rotterdam Maasvlakte'))).digest).toBe(digest)
  })

  it('tells codes apart by each letter, from row to row', async () => {
    const codes = ['CNSHA', 'XNSHA', 'CXSHA', 'CNXHA', 'CNSXA', 'CNSHX', 'CNSHAX']
    const ports = codes.slice(1).map((code) => `${code}\tPort\tsea\n`)
    const digests = codes.map(async (code) => {
      const rows = `${code}\tNLRTM\t2026-07-01\t1\n`
      const dump = AS_COPY.replace('NLRTM\tRotterdam', `${ports.join('')}NLRTM\tRotterdam`)
      return (await check(dump.replace('NLRTM\tCNSHA', `CNSHA\tNLRTM\t2026-07-01\t1\n${rows}NLRTM\tCNSHA`))).digest
    })
    expect(new Set(await Promise.all(digests)).size).toBe(codes.length)
  })

  it('may name what the database has already', async () => {
    const known: KnownCatalogue = {
      regions: new Map([['sea', { slug: 'sea', name: 'Sea', parent: null }]]),
      ports: new Map([['NLRTM', { code: 'NLRTM', name: 'Rotterdam', region: 'sea' }]]),
    }
    const part = (SETTINGS + PORTS + PRICES + REGIONS + END)
      .replace('NLRTM\tRotterdam\tsea\n', '')
      .replace('sea\tThe sea\t\\N\n', '')
    expect((await check(part, known)).rows).toBe(3)
    expect(await refusal(part)).toMatch('region "coast" lies in region "sea", which is not there')
    const regionsOnly = { ...known, ports: new Map() }
    expect(await refusal(part, regionsOnly)).toMatch('prices name the port "NLRTM", which is not there')
  })

  it('may hold no rows', async () => {
    expect(await check(SETTINGS + END)).toMatchObject({ regions: [], ports: [], rows: 0 })
  })

  it('quotes what CSV must quote', async () => {
    const odd = AS_COPY.replaceAll('NLRTM', 'A,"B')
    expect(await csv(odd)).toBe(CSV.replaceAll('NLRTM', '"A,""B"'))
  })
})

describe('a dump is refused', () => {
  const line = (text: string, content = AS_COPY): number => content.slice(0, content.indexOf(text)).split('\n').length
  const cases: [name: string, content: string | Uint8Array, message: string][] = [
    [
      'when cut off within the data',
      AS_COPY.slice(0, AS_COPY.indexOf('NLRTM\tCNSHA')),
      `line ${line('NLRTM\tCNSHA') - 1}: damaged dump: the file ends within the data of prices that begin at line ${line('COPY public.prices')}`,
    ],
    [
      'when cut off within a row',
      AS_COPY.slice(0, AS_COPY.indexOf('480')),
      `line ${line('480')}: damaged dump: the file ends`,
    ],
    ['when cut off between statements', AS_COPY.slice(0, -20), 'no "-- PostgreSQL database dump complete" at its end'],
    [
      'when cut off within a statement',
      `${inserts(() => '').split(');')[0]}`,
      'damaged dump: the file ends within a statement',
    ],
    [
      'when cut off within a string',
      inserts(() => '').slice(0, inserts(() => '').indexOf('hanghai')),
      'a string that begins here never ends',
    ],
    [
      'for a column too few',
      AS_COPY.replace('2026-07-31\t480', '2026-07-31'),
      `line ${line('480')}: damaged dump: 3 columns where prices has 4: "NLRTM\\tCNSHA\\t2026-07-31"`,
    ],
    [
      'for a column too many',
      AS_COPY.replace('480', '480\t1'),
      `line ${line('480')}: damaged dump: 5 columns where prices has 4`,
    ],
    ['for a column too many in INSERT', inserts(() => '').replace('480', '480, 1'), '5 columns where prices has 4'],
    ['for a column too few in INSERT', inserts(() => '').replace(', 480', ''), '3 columns where prices has 4'],
    [
      'for a day that is not in the calendar',
      AS_COPY.replace('2026-07-31', '2026-06-31'),
      `line ${line('480')}: day "2026-06-31" of a price is no date written YYYY-MM-DD`,
    ],
    ['for another form of date', AS_COPY.replace('2026-07-31', '31.07.2026'), 'day "31.07.2026" of a price is no date'],
    ['for infinity', AS_COPY.replace('2026-07-31', 'infinity'), 'day "infinity" of a price is no date'],
    ['for a day out of range', AS_COPY.replace('2026-07-31', '1969-12-31'), 'is not between 1970-01-01 and 2199-12-31'],
    [
      'for a price of 0',
      AS_COPY.replace('480', '0'),
      `line ${line('480')}: price "0" is no whole number from 1 to 2147483647`,
    ],
    ['for a negative price', inserts(() => '').replace('480', '-480'), 'price "-480" is no whole number'],
    ['for a fraction', inserts(() => '').replace('480', '480.5'), 'price "480.5" is no whole number'],
    ['for a price above integer', AS_COPY.replace('480', '2147483648'), 'price "2147483648" is no whole number'],
    ['for a price that is NULL', AS_COPY.replace('480', '\\N'), `line ${line('480')}: price of a price is NULL`],
    ['for a word as a value', inserts(() => '').replace('480', 'now'), '"now" where INSERT has a value'],
    [
      'for a port that is nowhere',
      AS_COPY.replace('NLRTM\tRotterdam', 'BEANR\tAntwerpen'),
      `line ${line('3200')}: prices name the port "NLRTM", which is not there`,
    ],
    [
      'for a region that is nowhere',
      AS_COPY.replace('Shanghai\tcoast', 'Shanghai\tbeach'),
      `line ${line('Shanghai')}: port "CNSHA" lies in region "beach", which is not there`,
    ],
    [
      'for a parent that is nowhere',
      AS_COPY.replace('coast\tsea', 'coast\tocean'),
      `line ${line('The coast')}: region "coast" lies in region "ocean", which is not there`,
    ],
    [
      'for regions within each other',
      AS_COPY.replace('The sea\t\\N', 'The sea\tcoast'),
      `line ${line('The coast')}: regions that lie within each other: "coast" in "sea" in "coast"`,
    ],
    ['for a region within itself', AS_COPY.replace('The sea\t\\N', 'The sea\tsea'), '"sea" in "sea"'],
    [
      'for a port with two names',
      AS_COPY.replace('NLRTM\tRotterdam', 'CNSHA\tSchanghai'),
      `line ${line('Rotterdam')}: port "CNSHA" is there twice with different content (first at line ${line('Shanghai')})`,
    ],
    [
      'for a region with two parents',
      AS_COPY.replace('sea\tThe sea', 'coast\tThe coast'),
      'region "coast" is there twice with different content',
    ],
    ['for a code that is empty', AS_COPY.replace('NLRTM\tRotterdam', '\tRotterdam'), 'the code of a port is empty'],
    ['for a name that is NULL', AS_COPY.replace('Rotterdam', '\\N'), 'the name of a port is NULL'],
    [
      'for a control character in a code',
      AS_COPY.replaceAll('NLRTM', 'NL\\nTM'),
      'a control character in the code of a port: "NL\\nTM"',
    ],
    [
      'for text that is not UTF-8',
      Buffer.from(AS_COPY.replace('Rotterdam', 'Rotterdåm'), 'latin1'),
      'text that is not UTF-8',
    ],
    [
      'in another encoding',
      AS_COPY.replace("'UTF8'", "'LATIN1'"),
      'this dump is in the encoding LATIN1; dump with pg_dump --encoding=UTF8',
    ],
    [
      "for another application's data",
      `${AS_COPY}COPY public.users (id) FROM stdin;\n1\n\\.\n`,
      'foreign dump: it holds data of table "users"',
    ],
    [
      "for another application's INSERT",
      `${AS_COPY}INSERT INTO public.users VALUES (1);`,
      'foreign dump: it holds data of table "users"',
    ],
    [
      'for a table with other columns',
      AS_COPY.replace('(code, name, parent_slug)', '(code, name, country)'),
      'foreign dump: ports has the columns (code, name, country)',
    ],
    [
      'for tables of two schemas',
      AS_COPY.replace('COPY public.prices', 'COPY freight.prices'),
      'tables of two schemas, public and freight',
    ],
    ['for a statement that changes rows', `${AS_COPY}DELETE FROM public.prices;`, 'pg_dump writes no statement DELETE'],
    [
      'when it has none of the tables',
      'SELECT 1;\n',
      'foreign dump: it has none of the tables regions(slug, name, parent_slug)',
    ],
    ['when it is empty', '', 'foreign dump: it has none of the tables'],
    ['when it is CSV', CSV, 'line 1: foreign dump: pg_dump writes no statement CNSHA'],
    ['when it is JSON', '{"prices":[]}', 'line 1: foreign dump: "{" where a statement begins'],
    ['when it is binary', Buffer.from([1, 0, 2, 0]), 'line 1: foreign dump: a binary file'],
    [
      'in the custom format',
      Buffer.from('PGDMP\x01\x0e'),
      'this is a dump in the custom format; make it plain with pg_restore',
    ],
    ['in UTF-16', Buffer.from(`\ufeff${AS_COPY}`, 'utf16le'), 'this file is in UTF-16'],
    ['with zstd', zstdCompressSync(AS_COPY), 'this file is compressed with zstd; only gzip is read'],
    ['when its gzip is cut off', gzipSync(AS_COPY).subarray(0, -30), 'the gzip file ends early'],
    [
      'when its gzip is damaged',
      Buffer.concat([gzipSync(AS_COPY).subarray(0, 60), Buffer.alloc(60, 7)]),
      'the gzip file is damaged',
    ],
    ["for psql's other commands", `${AS_COPY}\\! rm -rf /\n`, "psql's command \\! rm -rf /"],
  ]
  for (const [name, content, message] of cases) {
    it(name, async () => {
      expect(await refusal(content)).toContain(message)
    })
  }

  it('when it changes between the readings, before the end is passed on', async () => {
    const file = await save(AS_COPY)
    const { digest } = await checkDump(await fileSource(file), EMPTY)
    await writeFile(file, AS_COPY.replace('480', '481'))
    await expect(collect(pricesAsCsv(await fileSource(file), digest))).rejects.toThrow(
      'the file changed while it was read',
    )
  })
})
