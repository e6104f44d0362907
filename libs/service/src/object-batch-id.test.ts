import { describe, expect, it } from '@jest/globals'
import { objectBatchId } from './object-batch-id.ts'

describe('the id of the batch that an object is', () => {
  it('is the one in docs/wire.md', () => {
    const object = { bucket: 'acme-prices', key: '2026/11/21.csv.gz', etag: '8b04d5e3775d298e78455efc5ca404d5' }
    expect(objectBatchId(object)).toBe('object-330002b5b71308e5fb465aaf6dcb3989bd0a179e')
  })

  it('differs where anything of it does, also where that would read the same', () => {
    const ids = [
      { bucket: 'abc', key: 'd', etag: 'e' },
      { bucket: 'abc', key: 'd', etag: 'f' },
      { bucket: 'ab', key: 'cd', etag: 'e' },
      { bucket: 'abc', key: 'd","e', etag: '' },
    ].map(objectBatchId)
    expect(new Set(ids).size).toBe(ids.length)
  })
})
