import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type RunningObjectStore } from '@rates/local/object-store'
import { findVersitygw } from '@rates/local/versitygw'
import { connectAdmin } from '@rates/service/kafka-admin'
import { openReader } from '@rates/service/kafka-reader'
import { createLogger } from '@rates/service/log'
import { topicNames } from '@rates/service/topics'
import { eventually } from '@rates/testing/eventually'
import { createTestTopics, type TestTopics } from '@rates/testing/kafka'
import { objectStoreAt } from '@rates/testing/object-store'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { type InboxFolders, objectStoreRows, startInbox } from './object-store.ts'
import { type ObjectStoreFacts } from './running.ts'

let folder: string
let places: InboxFolders
let topics: TestTopics
let server: RunningObjectStore
let facts: ObjectStoreFacts

async function start(): Promise<void> {
  const { prefix, brokers } = topics
  ;({ server, facts } = await startInbox({ brokers: brokers.join(','), prefix }, { port: 0 }, places))
}

beforeAll(async () => {
  await findVersitygw()
  folder = await temporaryFolder()
  const place = (name: string) => join(folder, name)
  places = { objectStore: place('object-store'), objectStoreKeys: place('keys'), logs: place('logs') }
  topics = await createTestTopics({ partitions: 1 })
  await start()
}, 600_000)
afterAll(async () => {
  await server?.stop()
  await topics?.remove()
  await rm(folder, { recursive: true, force: true })
})

describe('the inbox of npm start', () => {
  it('takes a file by the command that the summary shows, and tells the topic of it', async () => {
    const where = join(folder, 'a folder')
    await mkdir(where)
    await writeFile(join(where, 'prices.csv'), 'orig_code,dest_code,day,price\n')
    const rows = new Map(objectStoreRows(facts))
    expect(rows.get('inbox')).toBe(`${server.url}/rates-inbox: each file put here becomes a batch`)
    await promisify(execFile)('sh', ['-c', `${rows.get('  put')} --fail --silent --show-error`], { cwd: where })
    expect(await objectStoreAt(server).keys('rates-inbox')).toEqual(['prices.csv'])

    const kafka = { brokers: topics.brokers, clientId: 'test', log: createLogger('test', 'silent') }
    const topic = topicNames(topics.prefix).objects
    const admin = await connectAdmin(kafka)
    const reader = await openReader(kafka, topic)
    try {
      const end = async () => (await admin.ends(topic))[0]!.high
      await eventually(async () => (await end()) === 2n) // the first is the one without objects
      const values: unknown[] = []
      await reader.read({ partition: 0, from: 1n, to: 2n }, ({ value }) => void values.push(JSON.parse(String(value))))
      const s3 = { bucket: { name: 'rates-inbox' }, object: { key: 'prices.csv', size: 30 } }
      expect(values).toMatchObject([{ Records: [{ s3 }] }])
    } finally {
      await reader.close()
      await admin.close()
    }
  })

  it("keeps its keys to the person's own eyes, and has them and its files still when it starts again", async () => {
    for (const file of [facts.secretFile, facts.accessKeyIdFile]) expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(facts.secretFile, 'utf8')).toBe(server.secretAccessKey)
    expect(await readFile(facts.accessKeyIdFile, 'utf8')).toBe(facts.accessKeyId)
    const before = server
    await server.stop()
    await start()
    expect(server.secretAccessKey).toBe(before.secretAccessKey)
    expect(await objectStoreAt({ ...before, url: server.url }).keys('rates-inbox')).toEqual(['prices.csv'])
  })
})
