import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'

export interface Asset {
  type: string
  encoding: 'br' | 'gzip' | undefined
  content: Buffer
}

const TYPES: Record<string, string> = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' }
/** As the build of libs/page names what it has compressed, the smallest first. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const

interface Build {
  changed: number
  shell: string
  files: ReadonlyMap<string, Buffer>
}

/** What the build of libs/page has made, in memory: some hundred kilobytes. A name is looked up, and never a path. */
export class PageFiles {
  readonly #folder: string
  #build: Build | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The HTML with its `{{base}}`; undefined while the page is not built. */
  shell(): string | undefined {
    return this.#read()?.shell
  }

  /** A script or a style sheet, compressed if the caller takes that. @param accepts the header `accept-encoding` */
  asset(name: string, accepts: string | undefined): Asset | undefined {
    const files = this.#read()?.files
    const type = TYPES[extname(name)]
    const plain = files?.get(name)
    if (files === undefined || type === undefined || plain === undefined) return undefined
    for (const [encoding, suffix] of ENCODINGS) {
      const content = files.get(name + suffix)
      if (content !== undefined && takes(accepts, encoding)) return { type, encoding, content }
    }
    return { type, encoding: undefined, content: plain }
  }

  /** Anew when it was built anew, as those do who work on it. */
  #read(): Build | undefined {
    const shell = join(this.#folder, 'index.html')
    const changed = statSync(shell, { throwIfNoEntry: false })?.mtimeMs
    if (changed === undefined) return undefined
    if (this.#build?.changed === changed) return this.#build
    const names = readdirSync(this.#folder).filter((name) => name !== 'index.html')
    const files = new Map(names.map((name) => [name, readFileSync(join(this.#folder, name))]))
    this.#build = { changed, shell: readFileSync(shell, 'utf8'), files }
    return this.#build
  }
}

/** RFC 9110, 12.5.3, for the two that there are: named, or meant by `*`, and not with a weight of 0. */
function takes(accepts = '', encoding: string): boolean {
  const weights = new Map(
    accepts.split(',').map((each) => {
      const [name = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => parameter.startsWith('q='))
      return [name, weight === undefined ? 1 : Number(weight.slice(2))]
    }),
  )
  return (weights.get(encoding) ?? weights.get('*') ?? 0) > 0
}
