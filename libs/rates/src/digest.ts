/**
 * The digest of a batch's content: a 128-bit hash for each row of (orig, dest, day, price), summed modulo 2^128.
 * It does not depend on the rows' order, on the format or on how a batch was cut; equal rows count as often as they
 * come. It guards against mistakes, not against attackers. docs/wire.md states it for other implementations.
 *
 * The hash is MurmurHash3 x86 128 (Austin Appleby, public domain) over ten little-endian 32-bit words: the four words
 * of the origin's code, the four of the destination's, month * 32 + day (both from 0, months from January 1970), price.
 * A code's words are the same hash of its bytes. A bad row counts by the hashes of its fields' bytes, or of its own where
 * it has no four fields: that is for telling uploads apart, what is stored has none.
 */

// A look-up of Math for each row is slow in some sandboxes, Jest's among them.
const { imul } = Math

const C1 = 0x239b961b
const C2 = 0xab0e9789
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93

const rotl = (x: number, r: number): number => (x << r) | (x >>> (32 - r))

function fmix(h: number): number {
  h = imul(h ^ (h >>> 16), 0x85ebca6b)
  h = imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const scratch = new Int32Array(4)

/** Sums row hashes. The four words are kept apart as doubles and carried when read: exact for 2^21 rows at a time. */
export class DigestSum {
  private w0 = 0
  private w1 = 0
  private w2 = 0
  private w3 = 0
  private pending = 0

  reset(): void {
    this.w0 = this.w1 = this.w2 = this.w3 = this.pending = 0
  }

  private add(h1: number, h2: number, h3: number, h4: number): void {
    this.w0 += h1 >>> 0
    this.w1 += h2 >>> 0
    this.w2 += h3 >>> 0
    this.w3 += h4 >>> 0
    if (++this.pending === 1 << 20) this.carry()
  }

  private carry(): void {
    const words = [this.w0, this.w1, this.w2, this.w3]
    let carry = 0
    for (let i = 0; i < 4; i++) {
      const sum = words[i]! + carry
      words[i] = sum % 0x1_0000_0000
      carry = Math.floor(sum / 0x1_0000_0000)
    }
    ;[this.w0, this.w1, this.w2, this.w3] = words as [number, number, number, number]
    this.pending = 0
  }

  /** Adds a row whose codes' words stand in `codes` at `orig` and `dest`. */
  addRow(codes: Int32Array, orig: number, dest: number, day: number, price: number): void {
    let h1 = 0
    let h2 = 0
    let h3 = 0
    let h4 = 0
    for (let block = 0; block < 2; block++) {
      const at = block === 0 ? orig : dest
      h1 ^= imul(rotl(imul(codes[at]!, C1), 15), C2)
      h1 = (imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
      h2 ^= imul(rotl(imul(codes[at + 1]!, C2), 16), C3)
      h2 = (imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
      h3 ^= imul(rotl(imul(codes[at + 2]!, C3), 17), C4)
      h3 = (imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
      h4 ^= imul(rotl(imul(codes[at + 3]!, C4), 18), C1)
      h4 = (imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
    }
    h2 ^= imul(rotl(imul(price, C2), 16), C3)
    h1 ^= imul(rotl(imul(day, C1), 15), C2)
    h1 ^= 40
    h2 ^= 40
    h3 ^= 40
    h4 ^= 40
    h1 = (h1 + h2 + h3 + h4) | 0
    h2 = (h2 + h1) | 0
    h3 = (h3 + h1) | 0
    h4 = (h4 + h1) | 0
    h1 = fmix(h1)
    h2 = fmix(h2)
    h3 = fmix(h3)
    h4 = fmix(h4)
    h1 = (h1 + h2 + h3 + h4) | 0
    this.add(h1, h2 + h1, h3 + h1, h4 + h1)
  }

  /** Adds a bad row or field, by its bytes. */
  addBytes(bytes: Uint8Array, start: number, end: number): void {
    hashBytes(bytes, start, end, scratch, 0)
    this.add(scratch[0]!, scratch[1]!, scratch[2]!, scratch[3]!)
  }

  /** Adds a field whose hash stands in `words` at `at`. */
  addHash(words: Int32Array, at: number): void {
    this.add(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!)
  }

  /** Adds another sum, as bytes() gives it. */
  addDigest(digest: Uint8Array): void {
    if (digest.byteLength !== 16) throw new RangeError(`a digest has 16 bytes, not ${digest.byteLength}`)
    const view = new DataView(digest.buffer, digest.byteOffset, 16)
    this.add(view.getUint32(12), view.getUint32(8), view.getUint32(4), view.getUint32(0))
  }

  /** The sum as 16 bytes, the most significant first. */
  bytes(): Uint8Array {
    this.carry()
    const out = new Uint8Array(16)
    const view = new DataView(out.buffer)
    view.setUint32(0, this.w3)
    view.setUint32(4, this.w2)
    view.setUint32(8, this.w1)
    view.setUint32(12, this.w0)
    return out
  }
}

/** MurmurHash3 x86 128, seed 0, of bytes[start, end) into four words of `out` from `at`. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, out: Int32Array, at: number): void {
  const length = end - start
  const word = (i: number): number => {
    let value = 0
    for (let k = 0; k < 4 && i + k < end; k++) value |= bytes[i + k]! << (8 * k)
    return value
  }
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  let i = start
  for (; i + 16 <= end; i += 16) {
    h1 ^= imul(rotl(imul(word(i), C1), 15), C2)
    h1 = (imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
    h2 ^= imul(rotl(imul(word(i + 4), C2), 16), C3)
    h2 = (imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
    h3 ^= imul(rotl(imul(word(i + 8), C3), 17), C4)
    h3 = (imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
    h4 ^= imul(rotl(imul(word(i + 12), C4), 18), C1)
    h4 = (imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
  }
  const tail = end - i
  if (tail > 12) h4 ^= imul(rotl(imul(word(i + 12), C4), 18), C1)
  if (tail > 8) h3 ^= imul(rotl(imul(word(i + 8), C3), 17), C4)
  if (tail > 4) h2 ^= imul(rotl(imul(word(i + 4), C2), 16), C3)
  if (tail > 0) h1 ^= imul(rotl(imul(word(i), C1), 15), C2)
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = fmix(h1)
  h2 = fmix(h2)
  h3 = fmix(h3)
  h4 = fmix(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  out[at] = h1
  out[at + 1] = (h2 + h1) | 0
  out[at + 2] = (h3 + h1) | 0
  out[at + 3] = (h4 + h1) | 0
}

export const digestHex = (digest: Uint8Array): string =>
  Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
