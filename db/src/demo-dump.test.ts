import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import { checkDump } from './check-dump.ts'
import { fileSource } from './dump-file.ts'
import { demoDump } from './demo-dump.ts'

const FILE = fileURLToPath(new URL('../demo/rates-demo.sql.gz', import.meta.url))

describe('the demo data set', () => {
  it('is what make-demo.ts makes', async () => {
    const committed = gunzipSync(await readFile(FILE)).toString()
    expect(committed === demoDump()).toBe(true) // not toBe(text): a difference would print two megabytes
  })

  it('is a dump that can be imported, in a tree of three levels', async () => {
    const { regions, ports, rows } = await checkDump(await fileSource(FILE), { regions: new Map(), ports: new Map() })
    const parents = new Map(regions.map(({ slug, parent }) => [slug, parent]))
    const level = (slug: string): number => 1 + (parents.get(slug) ? level(parents.get(slug)!) : 0)
    expect(new Set(ports.map(({ region }) => level(region)))).toEqual(new Set([3]))
    expect(ports.length).toBeGreaterThanOrEqual(40)
    expect(ports.every(({ code }) => /^[A-Z]{5}$/.test(code))).toBe(true)
    expect(rows).toBeGreaterThanOrEqual(60_000)
  })
})
