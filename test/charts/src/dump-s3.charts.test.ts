import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { DumpRefused } from '@rates/db/dump-refused'
import { s3Source } from '@rates/db/dump-s3'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { startObjectStore, type ObjectStore } from './object-store.ts'

// What db/src/dump-s3.test.ts tries with a store that can break on purpose, with a real one.

let folder: string
let store: ObjectStore
beforeAll(async () => {
  folder = await temporaryFolder()
  store = await startObjectStore(folder, 'dumps')
}, 600_000)
afterAll(async () => {
  await store?.stop()
  await rm(folder, { recursive: true })
})

const open = (key: string, credentials = store.credentials) =>
  s3Source(`s3://dumps/${key}`, { endpoint: store.endpoint, region: store.region, credentials })

async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const list: Buffer[] = []
  for await (const piece of pieces) list.push(piece)
  return Buffer.concat(list)
}

describe('a dump in a real object store', () => {
  it('is read as often as it is asked for, to its last byte', async () => {
    const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251))
    await store.put('a folder/dump.sql', content)
    const source = await open('a folder/dump.sql')
    expect(source.size).toBe(content.length)
    for (let i = 0; i < 2; i++) expect(Buffer.compare(await all(source.read()), content)).toBe(0)
  })

  it('is not read as a mixture of two versions', async () => {
    await store.put('dump.sql', 'first')
    const source = await open('dump.sql')
    expect(String(await all(source.read()))).toBe('first')
    await store.put('dump.sql', 'other')
    await expect(all(source.read())).rejects.toThrow('the object changed while it was read; import it again')
  })

  it('is refused where there is none, or to whom has not its keys', async () => {
    await store.put('dump.sql', 'a dump')
    const { accessKeyId } = store.credentials
    for (const [key, credentials, message] of [
      ['none.sql', store.credentials, 'there is no such object'],
      ['dump.sql', { accessKeyId, secretAccessKey: 'wrong' }, 'the store refuses it'],
      // This store answers 404, without a word: it was asked by HEAD.
      ['dump.sql', { accessKeyId: 'nobody', secretAccessKey: 'wrong' }, ''],
    ] as const) {
      const refused = open(key, credentials)
      await expect(refused).rejects.toThrow(message)
      await expect(refused).rejects.toBeInstanceOf(DumpRefused)
    }
  })
})
