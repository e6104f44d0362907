/** S3's least for every part but the last is 5 MiB. */
export const PART_BYTES = 8 << 20
/** S3's most. */
const MAX_PARTS = 10_000

export interface Part {
  /** Good until the next part is asked for, whose bytes it will hold then. */
  bytes: Uint8Array
  isLast: boolean
}

/** An object of more than 78 GiB needs larger parts: they are of one size, which some stores insist on. */
export const partBytesFor = (size = 0): number => Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS))

/** Cuts a body into parts of `partBytes` and a last one of 0 to `partBytes`, in the memory of one part. */
export async function* partsOf(body: AsyncIterable<Uint8Array> | Uint8Array, partBytes: number): AsyncGenerator<Part> {
  if (body instanceof Uint8Array) return yield* slicesOf(body, partBytes)
  let part: Buffer | undefined
  let filled = 0
  for await (const piece of body) {
    for (let rest = piece; rest.length > 0;) {
      part ??= Buffer.allocUnsafeSlow(partBytes)
      // Only now it is known that there is more than what fills it.
      if (filled === partBytes) {
        yield { bytes: part, isLast: false }
        filled = 0
      }
      const taken = rest.subarray(0, partBytes - filled)
      part.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
    }
  }
  yield { bytes: part?.subarray(0, filled) ?? new Uint8Array(0), isLast: true }
}

function* slicesOf(body: Uint8Array, partBytes: number): Generator<Part> {
  let at = 0
  for (; at + partBytes < body.length; at += partBytes) {
    yield { bytes: body.subarray(at, at + partBytes), isLast: false }
  }
  yield { bytes: body.subarray(at), isLast: true }
}
