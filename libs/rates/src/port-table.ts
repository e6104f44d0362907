import { hashBytes } from './digest.ts'

// A look-up of Math for each row is slow in some sandboxes, Jest's among them.
const { imul } = Math

export interface Port {
  code: string
  id: number
}

/**
 * Port codes by their bytes. An index stands for a port while a chunk is parsed; `ids` and `words` are read by index.
 * Open addressing over the first word of a code's hash; codes are compared byte for byte.
 */
export class PortTable {
  readonly size: number
  /** The database's id of each index. */
  readonly ids: Int32Array
  /** Four words of each code's hash (digest.ts), at index * 4. */
  readonly words: Int32Array
  private readonly codes: Uint8Array[]
  private readonly slots: Int32Array
  private readonly mask: number

  constructor(ports: readonly Port[]) {
    const encoder = new TextEncoder()
    this.size = ports.length
    this.ids = new Int32Array(ports.length)
    this.words = new Int32Array(ports.length * 4)
    this.codes = ports.map(({ code }) => encoder.encode(code))
    let slots = 16
    while (slots < ports.length * 4) slots *= 2
    this.slots = new Int32Array(slots).fill(-1)
    this.mask = slots - 1
    ports.forEach((port, index) => {
      const code = this.codes[index]!
      this.ids[index] = port.id
      hashBytes(code, 0, code.length, this.words, index * 4)
      let slot = quickHash(code, 0, code.length) & this.mask
      while (this.slots[slot] !== -1) slot = (slot + 1) & this.mask
      this.slots[slot] = index
    })
  }

  /** The index of the code in bytes[start, end), or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    let slot = quickHash(bytes, start, end) & this.mask
    for (;;) {
      const index = this.slots[slot]!
      if (index === -1) return -1
      const code = this.codes[index]!
      if (code.length === end - start) {
        let i = 0
        while (i < code.length && code[i] === bytes[start + i]) i++
        if (i === code.length) return index
      }
      slot = (slot + 1) & this.mask
    }
  }
}

function quickHash(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start
  for (let i = start; i < end; i++) hash = imul(hash ^ bytes[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}
