const MAGIC = 0x184d2204

/**
 * What LZ4 frames become, in bytes, without making it: its decoder gives as much as it is asked for, up to 255 times the
 * input. Reads the frame format 1.6 (github.com/lz4/lz4, doc/lz4_Frame_format.md). NaN: it is no such frame.
 */
export function lz4Size(frames: Uint8Array): number {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength)
  let size = 0
  let at = 0
  try {
    while (at < frames.length) {
      if (view.getUint32(at, true) !== MAGIC) return NaN
      const flags = view.getUint8(at + 4)
      at += 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4)
      for (let word = view.getUint32(at, true); word !== 0; word = view.getUint32(at, true)) {
        const length = word & 0x7fff_ffff
        at += 4
        size += word > 0x7fff_ffff ? length : blockSize(frames, at, at + length)
        at += length + ((flags & 16) === 0 ? 0 : 4)
      }
      at += 4 + ((flags & 4) === 0 ? 0 : 4)
    }
  } catch {
    return NaN // it ends in the middle
  }
  return size
}

/** Literals and matches of a block, whose lengths are in its tokens and the bytes after them. */
function blockSize(block: Uint8Array, start: number, end: number): number {
  let size = 0
  let at = start
  const more = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      let byte = 255
      while (byte === 255 && at < end) length += byte = block[at++]!
    }
    return length
  }
  while (at < end) {
    const token = block[at++]!
    const literals = more(token >> 4)
    size += literals
    at += literals
    if (at >= end) break // the last sequence has no match
    at += 2
    size += 4 + more(token & 15)
  }
  return size
}
