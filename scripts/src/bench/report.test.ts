import { describe, expect, test } from '@jest/globals'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { root } from '../home.ts'
import { SECTIONS } from './options.ts'
import { fillBlocks } from './report.ts'
import { asMarkdown, asText, atLeast, atMost, checkTable } from './table.ts'

describe('blocks of a document', () => {
  const document =
    'before\n<!-- bench:load -->\nold\n<!-- /bench:load -->\nafter\n<!-- bench:reads -->\n<!-- /bench:reads -->\n'

  test('are put in place of what stands there, and nothing else changes', () => {
    const once = fillBlocks(document, new Map([['load', 'new $& \\1']]))
    expect(once).toBe(document.replace('old', () => 'new $& \\1'))
    expect(fillBlocks(once, new Map([['load', 'old']]))).toBe(document)
  })

  test('that are not there, there twice or without an end are refused', () => {
    expect(() => fillBlocks(document, new Map([['lanes', '']]))).toThrow('<!-- bench:lanes --> 0 times')
    expect(() => fillBlocks(document + document, new Map([['load', '']]))).toThrow('2 times')
    expect(() => fillBlocks('<!-- bench:load -->', new Map([['load', '']]))).toThrow('no <!-- /bench:load -->')
  })

  test('docs/benchmarks.md has a place for each section', async () => {
    const text = await readFile(path.join(root, 'docs', 'benchmarks.md'), 'utf8')
    const blocks = new Map(['machine', 'checks', ...SECTIONS].map((name) => [name, 'x']))
    expect(() => fillBlocks(text, blocks)).not.toThrow()
  })
})

describe('tables', () => {
  const table = {
    title: 'T',
    head: ['', 'n'],
    rows: [
      ['a|b', '1'],
      ['long name', '20'],
    ],
    note: 'N',
  }

  test('as Markdown keep their cells apart', () => {
    expect(asMarkdown(table)).toBe('**T**\n\n|  | n |\n|---|---:|\n| a\\|b | 1 |\n| long name | 20 |\n\nN')
  })

  test('as text stand in columns', () => {
    expect(asText(table)).toBe('T\n              n\n  a|b         1\n  long name  20\n  N')
  })
})

test('a check says what was asked, what was reached, and misses stay', () => {
  const checks = [atLeast('rate', 150, 150, String), atMost('wait', 51, 50, String), atLeast('none', NaN, 1, String)]
  expect(checks.map(({ ok }) => ok)).toEqual([true, false, false])
  expect(checkTable(checks).rows[1]).toEqual(['wait', 'at most 50', '51', 'MISS'])
})
