import { DumpCatalogue, type KnownCatalogue, type PortRow, type RegionRow } from './catalogue.ts'
import { DumpReader } from './dump-reader.ts'
import { type DumpSource } from './dump-file.ts'
import { readBlocks } from './dump-source.ts'
import { PriceCheck } from './price-check.ts'

/** What a dump holds that passed every check. */
export interface CheckedDump {
  regions: RegionRow[]
  ports: PortRow[]
  /** Prices. */
  rows: number
  /** 32 hex digits: the content digest (@rates/core/digest) that the ledger will have of the same rows. */
  digest: string
}

/** Reads a whole dump and checks all of it, in constant memory. @throws DumpRefused */
export async function checkDump(
  source: DumpSource,
  known: KnownCatalogue,
  onProgress?: (bytes: number, rows: number) => void,
): Promise<CheckedDump> {
  const catalogue = new DumpCatalogue()
  const prices = new PriceCheck()
  const reader = new DumpReader({
    region: (row) => catalogue.addRegion(row),
    port: (row) => catalogue.addPort(row),
    price: (row) => prices.price(row),
  })
  for await (const block of readBlocks(source, (bytes) => onProgress?.(bytes, prices.rows))) reader.push(block)
  reader.end()
  catalogue.check(known)
  prices.checkCodes((code) => catalogue.ports.has(code) || known.ports.has(code))
  return {
    regions: [...catalogue.regions.values()].map(({ slug, name, parent }) => ({ slug, name, parent })),
    ports: [...catalogue.ports.values()].map(({ code, name, region }) => ({ code, name, region })),
    rows: prices.rows,
    digest: prices.digest(),
  }
}
