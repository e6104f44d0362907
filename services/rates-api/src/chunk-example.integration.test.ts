import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, testBatch } from '@rates/testing/batches'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { startWorkerProcess } from '@rates/testing/workers'
import { startTestApp } from './test-app.ts'
import { ChunkClient } from './test-chunks.ts'

const GUIDE = new URL('../../../docs/http.md', import.meta.url)

let line: Line
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-chunks-'))
  line = await startLine()
  await startWorkerProcess(line)
})
afterAll(async () => {
  await line.close()
  await rm(folder, { recursive: true })
})

describe('the example of docs/http.md', () => {
  it('uploads a file, and goes on where it was broken off', async () => {
    const api = await startTestApp({
      DATABASE_URL: line.databaseUrl,
      KAFKA_BROKERS: line.brokers.join(','),
      KAFKA_PREFIX: line.prefix,
    })
    line.defer(() => api.close())
    const [, section = ''] = readFileSync(GUIDE, 'utf8').split('## Resumable uploads')
    const [, example = ''] = /```sh\n([^]*?)```/.exec(section) ?? []
    const batch = testBatch(90_000, { id: 'acme-2026-11-21' })
    expect(example).toContain(`API=http://127.0.0.1:8080 ID=${batch.id}\n`)
    // An attempt before came no further than this.
    const client = new ChunkClient(api.url)
    await client.open(batch.id, { source: 'acme' })
    expect((await client.put(batch.id, 2, csv(batch.lines.slice(50_000, 75_000)))).status).toBe(202)

    await writeFile(join(folder, 'prices.csv'), csv(batch.lines))
    const script = example.replace('http://127.0.0.1:8080', api.url)
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: folder })
    expect(stdout).toContain('"chunks":5')
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    expect(await line.deadLetters(batch.id)).toEqual([])
  })
})
