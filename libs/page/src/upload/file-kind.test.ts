import { describe, expect, it } from '@jest/globals'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { contentType, kindName, kindOf, type FileEncoding, type FileFormat } from './file-kind.ts'

const text = (content: string): Uint8Array => new TextEncoder().encode(content)
const CSV = text('CNSGH,NLRTM,2026-11-21,1154\n')
const NDJSON = text('{"orig_code":"CNSGH"}\n')

describe('a file', () => {
  it.each<[string, Uint8Array, FileFormat, FileEncoding]>([
    ['a.csv', CSV, 'csv', 'identity'],
    ['A.CSV', CSV, 'csv', 'identity'],
    ['a.ndjson', NDJSON, 'ndjson', 'identity'],
    ['a.jsonl', NDJSON, 'ndjson', 'identity'],
    ['a.csv.gz', gzipSync(CSV), 'csv', 'gzip'],
    ['a.jsonl.gz', gzipSync(NDJSON), 'ndjson', 'gzip'],
    ['a.csv.zst', zstdCompressSync(CSV), 'csv', 'zstd'],
    ['a.ndjson.zst', Uint8Array.of(0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0), 'ndjson', 'zstd'],
    ['a.csv', gzipSync(CSV), 'csv', 'gzip'], // what it is counts, not what it is called
    ['a.csv.gz', CSV, 'csv', 'identity'],
    ['prices.txt', CSV, 'csv', 'identity'],
    ['prices', text('\uFEFF\n {"orig_code":"CNSGH"}'), 'ndjson', 'identity'],
    ['prices', text('"CNSGH",NLRTM,2026-11-21,1154'), 'csv', 'identity'],
  ])('%s', (name, head, format, encoding) => expect(kindOf(name, head)).toEqual({ format, encoding }))

  it.each([
    ['a.csv', text(''), 'a.csv is empty.'],
    ['a.gz', gzipSync(CSV), /^What is in a.gz\? Its name has to end with .csv.gz or .ndjson.gz.$/],
    ['a.xlsx', text('PK\u0003\u0004'), /^a.xlsx is a spreadsheet or an archive/],
    ['a.csv', text('PK\u0003\u0004'), /^a.csv is a spreadsheet/],
    ['a.csv', Uint8Array.of(0xff, 0xfe, 0x43, 0), 'a.csv is in UTF-16: save it as UTF-8.'],
    ['a.bin', Uint8Array.of(1, 2, 0, 3), 'a.bin is not a text: prices come as CSV or NDJSON.'],
    ['a.json', text(' [{}]'), /^a.json is a JSON list/],
  ])('%s is refused', (name, head, why) => expect(kindOf(name, head)).toEqual(expect.stringMatching(why)))

  it('has a name and a type for what it is', () => {
    expect(kindName({ format: 'ndjson', encoding: 'gzip' })).toBe('NDJSON, gzip')
    expect(contentType({ format: 'csv', encoding: 'identity' })).toBe('text/csv')
    expect(contentType({ format: 'ndjson', encoding: 'zstd' })).toBe('application/x-ndjson')
  })
})
