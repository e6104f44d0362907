export type FileFormat = 'csv' | 'ndjson'
export type FileEncoding = 'identity' | 'gzip' | 'zstd'

/** How a file is sent. */
export interface FileKind {
  format: FileFormat
  encoding: FileEncoding
}

/** Bytes at the beginning of a file that are looked at. */
export const HEAD_BYTES = 4096

const FORMATS: Readonly<Record<string, FileFormat>> = { csv: 'csv', ndjson: 'ndjson', jsonl: 'ndjson' }

/** What a file is by its first bytes and its name, or in a sentence why it cannot be sent. */
export function kindOf(name: string, head: Uint8Array): FileKind | string {
  if (head.length === 0) return `${name} is empty.`
  const encoding = encodingOf(head)
  const named = FORMATS[/\.([a-z]+)(\.(gz|zst))?$/i.exec(name)?.[1]?.toLowerCase() ?? '']
  if (encoding !== 'identity') {
    const ending = ENDINGS[encoding]
    if (named === undefined) return `What is in ${name}? Its name has to end with .csv.${ending} or .ndjson.${ending}.`
    return { format: named, encoding }
  }
  const text = withoutMark(head)
  if (startsWith(text, 0x50, 0x4b, 0x03, 0x04)) {
    return `${name} is a spreadsheet or an archive: save the prices as CSV, or compress them with gzip or zstd.`
  }
  if (startsWith(head, 0xff, 0xfe) || startsWith(head, 0xfe, 0xff)) return `${name} is in UTF-16: save it as UTF-8.`
  if (text.includes(0)) return `${name} is not a text: prices come as CSV or NDJSON.`
  const first = text.find((byte) => !SPACES.includes(byte))
  if (first === 0x5b) return `${name} is a JSON list: NDJSON has an object on each line, and nothing around them.`
  return { format: named ?? (first === 0x7b ? 'ndjson' : 'csv'), encoding }
}

export const contentType = ({ format }: FileKind): string => (format === 'csv' ? 'text/csv' : 'application/x-ndjson')

export const kindName = ({ format, encoding }: FileKind): string =>
  `${format.toUpperCase()}${encoding === 'identity' ? '' : `, ${encoding}`}`

const ENDINGS = { gzip: 'gz', zstd: 'zst' } as const
const SPACES: readonly number[] = [0x09, 0x0a, 0x0d, 0x20]

/** By the magic bytes; a name that ends in .gz may be that of a file that a browser has unpacked. */
function encodingOf(head: Uint8Array): FileEncoding {
  if (startsWith(head, 0x1f, 0x8b)) return 'gzip'
  const skippable = head[0]! >> 4 === 5 && startsWith(head.subarray(1), 0x2a, 0x4d, 0x18)
  return skippable || startsWith(head, 0x28, 0xb5, 0x2f, 0xfd) ? 'zstd' : 'identity'
}

const withoutMark = (head: Uint8Array): Uint8Array => (startsWith(head, 0xef, 0xbb, 0xbf) ? head.subarray(3) : head)

const startsWith = (bytes: Uint8Array, ...first: number[]): boolean => first.every((byte, i) => bytes[i] === byte)
