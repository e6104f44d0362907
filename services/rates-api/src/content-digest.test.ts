import { describe, expect, it } from '@jest/globals'
import { PortTable } from '@rates/core/port-table'
import { csv, digestOf as digestOfLines, ndjson, testBatch, TEST_PORTS } from '@rates/testing/batches'
import { digestOf } from './content-digest.ts'

const ports = new PortTable(TEST_PORTS.map((code, i) => ({ code, id: i + 1 })))

async function* inPieces(body: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield await Promise.resolve(body.subarray(at, at + size))
}

describe('the digest of an upload', () => {
  const { lines, digest } = testBatch(70_000)

  it.each([
    ['CSV', 'csv', csv(lines)],
    ['CSV in another order', 'csv', csv(lines.toReversed())],
    ['NDJSON', 'ndjson', ndjson(lines)],
  ] as const)('of %s is that of its rows', async (_, format, body) => {
    for (const size of [1000, 65_536, body.length]) {
      const content = await digestOf(inPieces(body, size), format, ports)
      expect(Buffer.from(content.digest).toString('hex')).toBe(digest)
      expect(content.rows).toBe(70_000)
    }
  })

  it('is the same while its ports are not known yet', async () => {
    const content = await digestOf(inPieces(csv(lines), 65_536), 'csv', new PortTable([]))
    expect(Buffer.from(content.digest).toString('hex')).toBe(digest)
  })

  it('is another one for one price more, or another', async () => {
    const other = lines.with(
      0,
      lines[0]!.replace(/\d+$/, (price) => String(Number(price) + 1)),
    )
    for (const changed of [other, [...lines, lines[0]!]]) {
      const content = await digestOf(inPieces(csv(changed), 65_536), 'csv', ports)
      expect(Buffer.from(content.digest).toString('hex')).toBe(digestOfLines(changed))
      expect(Buffer.from(content.digest).toString('hex')).not.toBe(digest)
    }
  })
})
