import { type IncomingRecord } from '@rates/service/kafka'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'

const KEYS = 3

/** Sends so many times the query, each with a correlation id of its own: a number from `first` on. */
export const askOften = (line: Line, query: object, count: number, first = 0): Promise<void> =>
  line.send(
    Array.from({ length: count }, (_, i) => ({
      topic: line.topics.queries,
      key: Buffer.from(`key ${i % KEYS}`),
      headers: { 'correlation-id': String(first + i) },
      value: Buffer.from(JSON.stringify(query)),
    })),
  )

/** Waits for the answers to askOften. @throws where a query has two distinct ones, or a key's are not in its order */
export async function expectOneAnswerEach(line: Line, count: number): Promise<void> {
  const replies = await line.watch(line.topics.replies)
  const answers = async (): Promise<Map<string, IncomingRecord[]>> =>
    Map.groupBy(
      (await replies.all()).filter(({ headers }) => headers.has('status')),
      ({ headers }) => headers.get('correlation-id')!,
    )
  await eventually(async () => (await answers()).size === count, { within: 90_000, what: 'an answer to each query' })
  const last = new Map<string, number>()
  for (const [query, all] of await answers()) {
    const distinct = new Set(all.map(({ headers, value }) => headers.get('reply-id')! + Buffer.from(value!).toString()))
    if (distinct.size !== 1) throw new Error(`query ${query} has ${distinct.size} distinct answers`)
    const key = Buffer.from(all[0]!.key!).toString()
    if (Number(query) < (last.get(key) ?? 0)) throw new Error(`query ${query} of ${key} is answered after a later one`)
    last.set(key, Number(query))
  }
}
