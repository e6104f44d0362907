import { chunkRecords, digestOf, importTestPorts, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startWorkerProcess } from '@rates/testing/workers'
import { type z } from 'zod'
import { batchSchema, problemSchema, retriedSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'

export type Batch = z.output<typeof batchSchema>

export interface Answer {
  status: number
  location: string | null
  retryAfter: string | null
  body: unknown
}

/** A line with a worker and the service, and what tests of running again do with them. */
export interface RetryTest {
  line: Line
  api: TestApp
  environment: Record<string, string>
  post(path: string, headers?: Record<string, string>, url?: string): Promise<Answer>
  /** Runs a batch again. @returns the new one's id */
  retry(id: string, query?: string, headers?: Record<string, string>): Promise<string>
  /** The problem that it is answered with, but for title and type. */
  refused(id: string, query?: string): Promise<Record<string, unknown>>
  /** Waits until a batch is so. */
  until(id: string, is: (batch: Batch) => boolean): Promise<Batch>
  outcome(id: string): Promise<Batch>
  /** Sends a batch in chunks. */
  send(batch: TestBatch, headers?: object, chunks?: number): Promise<void>
  /** Sends a batch from a port that nobody knows yet, and waits until it has failed. */
  failed(headers?: object): Promise<{ batch: TestBatch; addPort: () => Promise<void> }>
  /** Of all batches, the oldest first. */
  ids(): Promise<string[]>
  close(): Promise<void>
}

export async function startRetryTest(worker: Record<string, string> = {}): Promise<RetryTest> {
  const line = await startLine()
  await startWorkerProcess(line, worker)
  const environment = {
    DATABASE_URL: line.databaseUrl,
    KAFKA_BROKERS: line.brokers.join(','),
    KAFKA_PREFIX: line.prefix,
  }
  const api = await startTestApp(environment)
  const post: RetryTest['post'] = async (path, headers = {}, url = api.url) => {
    const answer = await fetch(url + path, { method: 'POST', headers })
    const header = (name: string): string | null => answer.headers.get(name)
    const body = (await answer.json()) as unknown
    return { status: answer.status, location: header('location'), retryAfter: header('retry-after'), body }
  }
  const until: RetryTest['until'] = (id, is) =>
    eventually(
      async () => {
        const { status, body } = await api.get(`/batches/${id}`)
        const batch = status === 200 ? batchSchema.parse(body) : undefined
        return batch && is(batch) ? batch : undefined
      },
      { within: 30_000, what: `what is waited for of ${id}` },
    )
  const outcome: RetryTest['outcome'] = (id) => until(id, ({ finishedAt }) => finishedAt !== null)
  const send: RetryTest['send'] = async (batch, headers = {}, chunks = 3) =>
    line.send(await chunkRecords(line.topics.batches, { batchId: batch.id, ...headers }, batch.lines, { chunks }))
  let ports = 0
  return {
    line,
    api,
    environment,
    post,
    async retry(id, query = '', headers = {}) {
      const { status, location, body } = await post(`/batches/${id}/retry${query}`, headers)
      if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`)
      const { id: retry, retryOf, links } = retriedSchema.parse(body)
      if (retryOf !== id || links.self !== location) throw new Error(JSON.stringify(body))
      return retry
    },
    async refused(id, query = '') {
      const { status, body } = await post(`/batches/${id}/retry${query}`)
      const told: Record<string, unknown> = { ...problemSchema.parse(body) }
      if (told['status'] !== status) throw new Error(JSON.stringify(body))
      delete told['title']
      delete told['type']
      return told
    },
    until,
    outcome,
    send,
    async failed(headers = {}) {
      const code = `ZZAA${String.fromCharCode(65 + ports++)}`
      const { lines, ...rest } = testBatch(30)
      const renamed = lines.map((each) => `${code}${each.slice(5)}`)
      const batch = { ...rest, lines: renamed, digest: digestOf(renamed) }
      await send(batch, headers)
      const { state } = await outcome(batch.id)
      if (state !== 'failed') throw new Error(`${batch.id} is ${state}`)
      return { batch, addPort: () => importTestPorts(line.databaseUrl, [code]) }
    },
    ids: async () =>
      (await line.pool.query<{ id: string }>('select id from batches order by no')).rows.map(({ id }) => id),
    async close() {
      await api.close()
      await line.close()
    },
  }
}
