import { OBJECT_TYPE } from '@rates/core/wire'
import { type Failpoint } from '@rates/service/failpoints'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { testObjectStore } from '@rates/testing/object-store'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Scenario } from './kill-scenarios.ts'

// What brings a worker that takes files of an object store to its failpoints.

/** Its record comes again, and must not be a second request: this one ends where it is noted, without a store. */
function asking(): Scenario {
  const batch = testBatch(1)
  const claim = { bucket: 'foreign', key: 'prices.csv', etag: 'e' }
  return {
    settings: { OBJECT_BUCKETS: 'prices' },
    act: (line) =>
      line.send([
        {
          topic: line.topics.batches,
          headers: { 'batch-id': batch.id, 'content-type': OBJECT_TYPE },
          value: Buffer.from(JSON.stringify(claim)),
        },
      ]),
    sent: [{ batch, state: 'failed', error: 'bucket_not_allowed' }],
    watches: [{ batch }],
    async healed(line) {
      const { rows } = await line.pool.query('select state, repeats from object_loads')
      if (rows.length !== 1 || rows[0].repeats) throw new Error(`it was asked for ${rows.length} times`)
    },
  }
}

/** Whoever goes on has to wait for the dead loader's lease. The outcome is told on the object, too. */
function loading(pass = 1): Scenario {
  const batch = testBatch(70_000)
  const key = `${batch.id}.csv`
  const settings: Record<string, string> = {}
  let tagged: () => Promise<unknown> = () => Promise.resolve()
  return {
    pass,
    settings, // filled in before the process starts
    async prepare(line) {
      const store = await testObjectStore()
      const folder = await temporaryFolder()
      line.defer(() => rm(folder, { recursive: true }))
      const bucket = await store.bucket()
      await store.put(bucket, key, csv(batch.lines))
      const { accessKeyId, secretAccessKey } = store.credentials
      await Promise.all([
        writeFile(join(folder, 'id'), accessKeyId),
        writeFile(join(folder, 'secret'), secretAccessKey),
      ])
      Object.assign(settings, {
        OBJECT_BUCKETS: bucket,
        S3_ENDPOINT: store.endpoint,
        S3_REGION: store.region,
        S3_ACCESS_KEY_ID_FILE: join(folder, 'id'),
        S3_SECRET_ACCESS_KEY_FILE: join(folder, 'secret'),
      })
      tagged = () =>
        eventually(async () => (await store.tags(bucket, key))['rates-state'] === 'succeeded', {
          within: 60_000,
          what: 'the tag',
        })
    },
    act: (line) =>
      line.send([
        {
          topic: line.topics.batches,
          headers: { 'batch-id': batch.id, 'content-type': OBJECT_TYPE },
          value: Buffer.from(JSON.stringify({ bucket: settings['OBJECT_BUCKETS'], key })),
        },
      ]),
    sent: [{ batch }],
    watches: [{ batch }],
    healed: async () => void (await tagged()),
  }
}

export const objectScenarios = {
  'noted-object': asking,
  'took-object': loading,
  'sent-object-chunk': () => loading(2),
  'sent-object': loading,
  'before-tag': loading,
} satisfies Partial<Record<Failpoint, () => Scenario>>
