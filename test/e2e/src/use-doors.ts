import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CLAIM_TYPE, type ClaimCheck } from '@rates/core/claim-check'
import { OBJECT_TYPE } from '@rates/core/wire'
import { type IncomingRecord } from '@rates/service/kafka'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'
import { testObjectStore, type TestObjectStore } from '@rates/testing/object-store'

/** A bucket, and what a service needs to reach it. */
export interface Doors {
  store: TestObjectStore
  bucket: string
  settings: Record<string, string>
  close(): Promise<void>
}

export async function openDoors(): Promise<Doors> {
  const store = await testObjectStore()
  const folder = await mkdtemp(join(tmpdir(), 'rates-doors-'))
  const [id, secret] = [join(folder, 'id'), join(folder, 'secret')]
  await writeFile(id, store.credentials.accessKeyId)
  await writeFile(secret, store.credentials.secretAccessKey)
  return {
    store,
    bucket: await store.bucket(),
    settings: {
      S3_ENDPOINT: store.endpoint,
      S3_REGION: store.region,
      S3_ACCESS_KEY_ID_FILE: id,
      S3_SECRET_ACCESS_KEY_FILE: secret,
    },
    close: () => rm(folder, { recursive: true }),
  }
}

/** Whatever is counted of queries, of answers that are put away, and of objects happens once at least. */
export async function useDoors(line: Line, doors: Doors, api: string): Promise<void> {
  const batch = await loadObjects(line, doors)
  const watched = await line.watch(line.topics.replies)
  const ask = async (id: string, query: object): Promise<IncomingRecord> => {
    const value = Buffer.from(JSON.stringify(query))
    await line.send([{ topic: line.topics.queries, headers: { 'correlation-id': id }, value }])
    const isAnswer = ({ headers }: IncomingRecord): boolean =>
      headers.get('correlation-id') === id && headers.has('status')
    return eventually(async () => (await watched.all()).find(isAnswer), { within: 60_000, what: `the answer to ${id}` })
  }
  const places = { orig_code: 'CNSGH', dest_code: 'NLRTM' }
  await ask('rates', { date_from: '2021-01-01', date_to: '2021-01-02', ...places })
  await ask('batch', { query: 'batch', id: batch })
  await ask('nothing', { query: 'nothing' })
  const putAway = await ask('long', { date_from: '2021-01-01', date_to: '2021-12-31', ...places })
  if (putAway.headers.get('content-type') !== CLAIM_TYPE) throw new Error('a year of rates was not put away')
  const { url } = JSON.parse(Buffer.from(putAway.value!).toString()) as ClaimCheck
  const content = await fetch(new URL(url, api))
  await content.arrayBuffer()
  if (!content.ok) throw new Error(`what was put away: ${content.status}`)
}

/** One by a claim, one by a notification, one that is not there. @returns the batch of the first */
async function loadObjects(line: Line, { store, bucket }: Doors): Promise<string> {
  const [claimed, missing, notified] = [testBatch(600), testBatch(1), testBatch(600)]
  await store.put(bucket, 'claimed.csv', csv(claimed.lines))
  const metadata = { 'rates-batch-id': notified.id }
  const eTag = await store.put(bucket, 'notified.csv', csv(notified.lines), { metadata })
  const claim = (batchId: string, key: string) => ({
    topic: line.topics.batches,
    headers: { 'content-type': OBJECT_TYPE, 'batch-id': batchId },
    value: Buffer.from(JSON.stringify({ bucket, key })),
  })
  const s3 = { bucket: { name: bucket }, object: { key: 'notified.csv', eTag, size: 1 } }
  const event = { Records: [{ eventName: 'ObjectCreated:Put', s3 }] }
  await line.send([
    claim(claimed.id, 'claimed.csv'),
    claim(missing.id, 'missing.csv'),
    { topic: line.topics.objects, headers: {}, value: Buffer.from(JSON.stringify(event)) },
  ])
  for (const { id } of [claimed, notified, missing]) await line.reply(id, 60_000)
  for (const key of ['claimed.csv', 'notified.csv']) {
    await eventually(async () => (await store.tags(bucket, key))['rates-state'] === 'succeeded', {
      within: 30_000,
      what: `the tag of ${key}`,
    })
  }
  return claimed.id
}
