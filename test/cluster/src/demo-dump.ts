import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { root } from './settings.ts'

/** The demo data in the form of the original service's dump, with so many of its prices: a ConfigMap takes a megabyte. */
export async function demoDump(prices: number): Promise<string> {
  const whole = await promisify(gunzip)(await readFile(path.join(root, 'db', 'demo', 'rates-demo.sql.gz')))
  const lines = whole.toString().split('\n')
  const first = lines.findIndex((line) => line.startsWith('COPY public.prices')) + 1
  const end = lines.indexOf('\\.', first)
  return [...lines.slice(0, Math.min(end, first + prices)), ...lines.slice(end)].join('\n')
}
