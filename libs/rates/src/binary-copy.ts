// PostgreSQL's binary COPY, as far as packs need it: both who makes packs and who rewrites them speak it.

/** What its input begins with: the signature, no flags, no extension. */
export const COPY_HEADER = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]

/** Types of arrays' elements. */
export const INT2 = 21
export const INT4 = 23
export const INT8 = 20

/** Writes what comes before an array's elements, each of which is its width in 4 bytes and the value. @returns where they begin */
export function writeArrayHead(view: DataView, at: number, type: number, width: number, length: number): number {
  view.setInt32(at, 20 + length * (4 + width))
  view.setInt32(at + 4, 1) // dimensions
  view.setInt32(at + 8, 0) // no nulls
  view.setInt32(at + 12, type)
  view.setInt32(at + 16, length)
  view.setInt32(at + 20, 1) // lower bound
  return at + 24
}
