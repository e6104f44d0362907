export interface Port {
  code: string
  name: string
  region: string
}

export interface Region {
  slug: string
  name: string
  parent: string | null
}

/** What a price goes from and to. */
export interface Place {
  kind: 'port' | 'region'
  /** What the API calls it. */
  code: string
  name: string
  /** Where it lies: its region, that one's region and so on. */
  within: string[]
  /** Of a region, those of its regions too; 1 of a port. */
  ports: number
}

export type Catalogue = ReadonlyMap<string, Place>

/** By code. A port comes before a region of the same code, as for the API. */
export function catalogueOf(ports: readonly Port[], regions: readonly Region[]): Catalogue {
  const bySlug = new Map(regions.map((region) => [region.slug, region]))
  const above = (slug: string | null): Region[] => {
    const chain: Region[] = []
    for (let at = slug; at !== null; at = chain.at(-1)!.parent) {
      const region = bySlug.get(at)
      if (region === undefined || chain.includes(region)) break
      chain.push(region)
    }
    return chain
  }
  const counts = new Map<string, number>()
  const places: Place[] = ports.map(({ code, name, region }) => {
    const chain = above(region)
    for (const { slug } of chain) counts.set(slug, (counts.get(slug) ?? 0) + 1)
    return { kind: 'port', code, name, within: chain.map((each) => each.name), ports: 1 }
  })
  const found = new Map<string, Place>()
  for (const { slug, name, parent } of regions) {
    const within = above(parent).map((each) => each.name)
    found.set(slug, { kind: 'region', code: slug, name, within, ports: counts.get(slug) ?? 0 })
  }
  for (const port of places) found.set(port.code, port)
  return found
}

/** As a field shows the place that was chosen. */
export const labelOf = ({ kind, code, name }: Place): string =>
  kind === 'region' ? `${name} (region)` : name === code ? code : `${code} ${name}`

/**
 * The places that a text means, the likeliest first: every word of it is the beginning of a word of a place's code or
 * name, or of a region where it lies. Without a text all of them.
 */
export function search(catalogue: Catalogue, text: string): Place[] {
  const asked = words(text)
  const ranked: { place: Place; rank: number }[] = []
  for (const place of catalogue.values()) {
    const rank = rankOf(place, asked)
    if (rank !== undefined) ranked.push({ place, rank })
  }
  return ranked.toSorted((a, b) => a.rank - b.rank || compare(a.place, b.place)).map(({ place }) => place)
}

/** The one place that a text names in full. */
export function named(catalogue: Catalogue, text: string): Place | undefined {
  const asked = fold(text.trim())
  if (asked === '') return undefined
  const names = (place: Place): string[] => [place.code, place.name, labelOf(place)].map(fold)
  const places = [...catalogue.values()].filter((place) => names(place).includes(asked))
  return places.find(({ code }) => fold(code) === asked) ?? (places.length === 1 ? places[0] : undefined)
}

/** The code itself, its beginning, the name, and last what lies in a region of the name. */
function rankOf({ code, name, within }: Place, asked: readonly string[]): number | undefined {
  if (asked.length === 0) return 0
  const folded = fold(code)
  if (asked.length === 1 && folded === asked[0]) return 0
  if (asked.length === 1 && folded.startsWith(asked[0]!)) return 1
  const own = [folded, ...words(code), ...words(name)]
  if (matches(own, asked)) return 2
  return matches([...own, ...within.flatMap(words)], asked) ? 3 : undefined
}

const matches = (of: readonly string[], asked: readonly string[]): boolean =>
  asked.every((word) => of.some((each) => each.startsWith(word)))

const words = (text: string): string[] =>
  fold(text)
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')

/** Without case and accents. */
const fold = (text: string): string => text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase()

const compare = (a: Place, b: Place): number =>
  a.kind === b.kind ? (a.code < b.code ? -1 : 1) : a.kind === 'port' ? -1 : 1
