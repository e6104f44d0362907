import { describe, expect, it } from '@jest/globals'
import { objectBatchId } from '@rates/service/object-batch-id'
import { readRequests } from './load.ts'

const now = new Date('2026-01-31T08:00:00Z')
const read = (objects: string[], options: Partial<Parameters<typeof readRequests>[1]> = {}) =>
  readRequests(objects, { wait: true, timeout: 3600, ...options }, now)

describe('readRequests', () => {
  it('makes a claim and a batch of each object', () => {
    const [one, two] = read(['s3://prices/a b/ü+%.csv', 's3://prices/2.csv'], { source: 'acme', deadline: '+10m' })
    expect(one!.claim).toEqual({ bucket: 'prices', key: 'a b/ü+%.csv' })
    expect(one!.batch).toMatchObject({ source: 'acme', deadline: '2026-01-31T08:10:00.000Z' })
    expect(one!.batch.batchId).toMatch(/^cli-20260131T080000-/)
    expect(two!.batch.batchId).not.toBe(one!.batch.batchId)
  })

  it('names the batch after an object that is pinned by its ETag, unless it is named', () => {
    const pinned = { bucket: 'prices', key: 'a.csv', etag: '8b04' }
    for (const etag of ['8b04', '"8b04"']) {
      const [{ claim, batch, named }] = read(['s3://prices/a.csv'], { etag }) as [ReturnType<typeof read>[number]]
      expect(claim).toEqual(pinned)
      expect([batch.batchId, named]).toEqual([objectBatchId(pinned), objectBatchId(pinned)])
    }
    expect(read(['s3://prices/a.csv'], { etag: '8b04', batchId: 'b' })[0]!.batch.batchId).toBe('b')
  })

  it.each<[string[], Parameters<typeof read>[1], string]>([
    [['prices.csv'], {}, '"prices.csv" is not of the form s3://BUCKET/KEY'],
    [['s3://prices'], {}, 'is not of the form'],
    [['s3://prices/'], {}, 'is not of the form'],
    [['s3:///a.csv'], {}, 'bucket is not the name of a bucket'],
    [['s3://prices/a\n.csv'], {}, 'key is not the key of an object'],
    [['s3://prices/a.csv'], { sha256: 'abc' }, 'sha256 is not 64 hexadecimal digits'],
    [['s3://prices/a.csv'], { batchId: 'a b' }, '--batch-id: "a b"'],
    [['s3://prices/a.csv'], { onDeadline: 'flag' }, '--on-deadline needs a --deadline'],
    [['s3://prices/1.csv', 's3://prices/2.csv'], { batchId: 'b' }, '--batch-id goes with one object'],
    [['s3://prices/1.csv', 's3://prices/2.csv'], { versionId: '1' }, '--version-id goes with one object'],
  ])('refuses %j with %j as wrong usage', (objects, options, message) => {
    expect(() => read(objects, options)).toThrow(
      expect.objectContaining({ code: 2, message: expect.stringContaining(message) }),
    )
  })
})
