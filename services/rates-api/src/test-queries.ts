import { createHash } from 'node:crypto'
import { type IncomingRecord } from '@rates/service/kafka'
import { setOffsets } from '@rates/service/kafka-offsets'
import { createLogger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { groupNames } from '@rates/service/topics'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'
import { parseMetrics, type Sample } from '@rates/testing/metrics-text'
import { Answers } from './answers.ts'
import { ClaimStore } from './claim-store.ts'
import { QueryDoor } from './query-door.ts'
import { queryMetrics } from './query-metrics.ts'
import { startTestApp, type TestApp } from './test-app.ts'

export interface TestDoor {
  app: TestApp
  metrics(): Promise<Sample[]>
  /** The door only: the API goes on. */
  stop(): Promise<void>
}

/** An API on a line's database that answers the line's queries. */
export async function startTestDoor(
  line: Line,
  options: { env?: Record<string, string>; replyTopics?: string[]; answerMaxBytes?: number } = {},
): Promise<TestDoor> {
  const app = await startTestApp({ DATABASE_URL: line.databaseUrl, ...options.env })
  line.defer(() => app.close())
  const log = createLogger('test', 'silent')
  const { registry, close } = createMetrics({ version: 'test' })
  const door = new QueryDoor({
    kafka: { ...line.kafka, log },
    prefix: line.prefix,
    replyTopics: options.replyTopics ?? [],
    pool: app.pool,
    answers: app.app.get(Answers),
    claims: app.app.get(ClaimStore),
    publicUrl: app.url,
    answerMaxBytes: options.answerMaxBytes ?? 65_536,
    atOnce: 4,
    drainSeconds: 10,
    ready: () => undefined,
    metrics: queryMetrics(registry),
    log,
  })
  door.start()
  line.defer(async () => {
    await door.stop()
    close()
  })
  return { app, metrics: async () => parseMetrics(await registry.metrics()), stop: () => door.stop() }
}

export interface TestQuery {
  value: unknown
  key?: string | Buffer
  headers?: Record<string, string>
}

/** Sends queries in their order; a value that is not bytes goes as JSON. */
export const ask = (line: Line, queries: readonly TestQuery[]): Promise<void> =>
  line.send(
    queries.map(({ value, key, headers = {} }) => ({
      topic: line.topics.queries,
      key: key === undefined ? null : Buffer.from(key as string),
      headers,
      value: value === null || Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
    })),
  )

/** The answers of a topic in its order, repeats too. */
export class AnswerReader {
  readonly #all: () => Promise<IncomingRecord[]>

  private constructor(all: () => Promise<IncomingRecord[]>) {
    this.#all = all
  }

  static async of(line: Line, topic: string): Promise<AnswerReader> {
    const watched = await line.watch(topic)
    return new AnswerReader(() => watched.all())
  }

  async all(): Promise<IncomingRecord[]> {
    return (await this.#all()).filter(({ headers }) => headers.get('reply-id')?.endsWith('/answer'))
  }

  /** The answer with this correlation id. */
  with(correlationId: string): Promise<IncomingRecord> {
    const find = async (): Promise<IncomingRecord | undefined> =>
      (await this.all()).find(({ headers }) => headers.get('correlation-id') === correlationId)
    return eventually(find, { within: 60_000, what: `the answer ${correlationId}` })
  }

  /** All, when there are so many with distinct reply ids. */
  async distinct(count: number): Promise<IncomingRecord[]> {
    const found = async (): Promise<IncomingRecord[] | false> => {
      const all = await this.all()
      return idsOf(all).size >= count && all
    }
    return eventually(found, { within: 90_000, every: 100, what: `${count} answers` })
  }
}

export const idsOf = (answers: readonly IncomingRecord[]): Set<string> =>
  new Set(answers.map(({ headers }) => headers.get('reply-id')!))

/** One id, one answer: what there is of each id in all, as status and digest of the body; one entry if all is well. */
export function contents(answers: readonly IncomingRecord[]): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>()
  for (const { headers, key, value } of answers) {
    const digest = createHash('sha256').update(value!).digest('hex')
    const id = headers.get('reply-id')!
    seen.set(
      id,
      (seen.get(id) ?? new Set()).add(JSON.stringify([[...headers], key && Buffer.from(key).toString(), digest])),
    )
  }
  return seen
}

/** Until the group has committed all there is. */
export async function allCommitted(line: Line): Promise<void> {
  const isBehind = async (): Promise<boolean> => {
    const progress = await line.admin.progress(groupNames(line.prefix).queries, line.topics.queries)
    return progress.every(({ high, low, committed }) => (committed ?? low) >= high)
  }
  await eventually(isBehind, { within: 30_000, what: 'all queries being committed' })
}

/** The group reads all queries again; nobody may be in it. */
export async function rewind(line: Line): Promise<void> {
  const ends = await line.admin.ends(line.topics.queries)
  const offsets = new Map(ends.map(({ partition, low }) => [partition, low]))
  await setOffsets(line.kafka, groupNames(line.prefix).queries, line.topics.queries, offsets)
}
