const decoder = new TextDecoder()
const SHORT = 256

/** The text of bytes[start, end) in UTF-8. Short ASCII, as rows are, is made without the decoder, whose call costs more. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT) {
    let ascii = 0
    for (let i = start; i < end; i++) ascii |= bytes[i]!
    if (ascii < 0x80) return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[])
  }
  return decoder.decode(bytes.subarray(start, end))
}
