/** An object that is to become a batch, as a message names it. */
export interface ObjectClaim {
  bucket: string
  key: string
  /** Pins the object as it is; without both it is taken as the loader finds it first. */
  etag?: string | undefined
  versionId?: string | undefined
  /** Of the object's bytes, in lower-case hex: checked if given. */
  sha256?: string | undefined
  /** `text/csv` or `application/x-ndjson`; without it the object's own, else by the ending of its key. */
  contentType?: string | undefined
  /** `gzip`, `zstd` or `identity`; as the type. */
  contentEncoding?: string | undefined
}

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/
const MAX_KEY_BYTES = 1024
/** Each of its members at its longest, and white space. */
const MAX_CLAIM_BYTES = 1 << 16

/** What is wrong with a claim: the field, and its rule. */
export class BadObjectClaim extends Error {
  constructor(field: string, rule: string) {
    super(`${field} ${rule}`)
    this.name = 'BadObjectClaim'
  }
}

export const isBucketName = (name: string): boolean => BUCKET.test(name)

/** Reads a claim's JSON. @throws BadObjectClaim */
export const readObjectClaim = (value: Uint8Array | null): ObjectClaim => checkObjectClaim(parseObject(value))

/** Takes fields for a claim that nobody has checked yet. @throws BadObjectClaim */
export function checkObjectClaim(claim: Readonly<Record<string, unknown>>): ObjectClaim {
  const text = (field: string, pattern: RegExp, rule: string): string | undefined => {
    const given = claim[field]
    if (given === undefined || given === null) return undefined
    if (typeof given !== 'string' || !pattern.test(given)) throw new BadObjectClaim(field, rule)
    return given
  }
  const unknown = Object.keys(claim).find((field) => !FIELDS.has(field))
  if (unknown !== undefined) throw new BadObjectClaim(JSON.stringify(unknown.slice(0, 100)), 'is no field of a claim')
  const bucket = text('bucket', BUCKET, 'is not the name of a bucket')
  if (bucket === undefined) throw new BadObjectClaim('bucket', 'is missing')
  const key = text('key', /^[^\u0000-\u001f\u007f]+$/, 'is not the key of an object')
  if (key === undefined) throw new BadObjectClaim('key', 'is missing')
  if (Buffer.byteLength(key) > MAX_KEY_BYTES || !key.isWellFormed()) {
    throw new BadObjectClaim('key', `is not well-formed text of up to ${MAX_KEY_BYTES} bytes`)
  }
  // They name other objects on their way to a store, or in one that keeps files: one object would be two batches.
  if (/(^|\/)\.{1,2}(\/|$)|^\/|\/\//.test(key)) {
    throw new BadObjectClaim('key', 'has a part between slashes that is empty, "." or ".."')
  }
  return {
    bucket,
    key,
    etag: text('etag', /^(?!""$)[\u0021-\u007e]{1,200}$/, 'is no ETag')?.replace(/^"(.*)"$/, '$1'),
    versionId: text('versionId', /^[\u0021-\u007e]{1,1024}$/, 'is no version of an object'),
    sha256: text('sha256', /^[0-9a-fA-F]{64}$/, 'is not 64 hexadecimal digits')?.toLowerCase(),
    contentType: text(
      'contentType',
      /^(text\/csv|application\/x-ndjson)$/,
      'is neither text/csv nor application/x-ndjson',
    ),
    contentEncoding: text('contentEncoding', /^(identity|gzip|zstd)$/, 'is none of identity, gzip, zstd'),
  }
}

const FIELDS = new Set(['bucket', 'key', 'etag', 'versionId', 'sha256', 'contentType', 'contentEncoding'])

function parseObject(value: Uint8Array | null): Record<string, unknown> {
  if (value && value.length > MAX_CLAIM_BYTES) {
    throw new BadObjectClaim('the value', `has ${value.length} bytes; a claim may have ${MAX_CLAIM_BYTES}`)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(value ?? []).toString())
  } catch {
    throw new BadObjectClaim('the value', 'is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new BadObjectClaim('the value', 'is not a JSON object')
  }
  return parsed as Record<string, unknown>
}
