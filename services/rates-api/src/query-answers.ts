import { type IncomingRecord } from '@rates/service/kafka'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'

/** An answer as it stands in the table, and as it is sent each time. */
export interface NotedAnswer {
  /** Of the query's record. */
  offset: bigint
  replyTopic: string
  key: Buffer | null
  headers: Record<string, string>
  body: Buffer
}

/** `later`: it stands, and belongs to the next lot. */
export type Standing = ReadonlyMap<bigint, NotedAnswer | 'later'>

/** Where a lot's records lie. */
interface Place {
  topic: string
  partition: number
}

const COLUMNS = 'a.record_offset as "offset", a.reply_topic as "replyTopic", a.key, a.headers'
const OF_RECORDS = `query_answers a join unnest($3::int8[], $4::timestamptz[]) as r(record_offset, record_time)
  on a.topic = $1 and a.partition = $2 and a.record_offset = r.record_offset and a.record_time = r.record_time`

/** A body comes as long as those before it have less than so many bytes. */
const FIND = `
select ${COLUMNS}, case when sum(octet_length(a.body)) over (order by a.record_offset) - octet_length(a.body) < $5 then a.body end as body
from ${OF_RECORDS}`

const NOTE = `
insert into query_answers (topic, partition, record_offset, record_time, reply_topic, key, headers, body)
select $1, $2, * from unnest($3::int8[], $4::timestamptz[], $5::text[], $6::bytea[], $7::jsonb[], $8::bytea[])
on conflict do nothing returning record_offset as "offset"`

/**
 * Nobody can be at a record that its group has committed so long ago; and what is a week old is of a topic that was made
 * again, for queries are kept for a day.
 */
const FORGET = `
delete from query_answers a where topic = $1 and answered_at < clock_timestamp() - interval '15 minutes'
and (answered_at < clock_timestamp() - interval '7 days' or exists (
  select from unnest($2::int[], $3::int8[]) as c(partition, next) where c.partition = a.partition and a.record_offset < c.next))`

/** The answers by the places of their queries' records (docs/decisions/0013-answers-by-place.md). */
export class QueryAnswers {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  /** What stands already of these records, which are of one partition; the bodies up to about `bytes`. */
  async find(records: readonly IncomingRecord[], bytes: number): Promise<Standing> {
    const { rows } = await this.#pool.query<Omit<NotedAnswer, 'body'> & { body: Buffer | null }>({
      name: 'query-answers-find',
      text: FIND,
      values: [...valuesOf(records), bytes],
    })
    return new Map(rows.map(({ body, ...row }) => [row.offset, body === null ? 'later' : { ...row, body }]))
  }

  /**
   * Notes answers, all or none. Where another process was first, its answer is the one that counts.
   * @param seal in the same transaction, told which answers are noted by it
   * @returns what stands of these records afterwards
   */
  async note(
    answers: readonly { record: IncomingRecord; answer: NotedAnswer }[],
    seal: (client: pg.ClientBase, offsets: ReadonlySet<bigint>) => Promise<void>,
  ): Promise<NotedAnswer[]> {
    const place = valuesOf(answers.map(({ record }) => record))
    const noted = answers.map(({ answer }) => answer)
    return withTransaction(this.#pool, async (client) => {
      const { rows } = await client.query<{ offset: bigint }>({
        name: 'query-answers-note',
        text: NOTE,
        values: [
          ...place,
          noted.map(({ replyTopic }) => replyTopic),
          noted.map(({ key }) => key),
          noted.map(({ headers }) => JSON.stringify(headers)),
          noted.map(({ body }) => body),
        ],
      })
      const ours = new Set(rows.map(({ offset }) => offset))
      await seal(client, ours)
      if (ours.size === noted.length) return noted
      const others = await client.query<NotedAnswer>(`select ${COLUMNS}, a.body from ${OF_RECORDS}`, place)
      const standing = new Map(others.rows.map((row) => [row.offset, row]))
      return noted.map((answer) => (ours.has(answer.offset) ? answer : standing.get(answer.offset)!))
    })
  }

  /** @param committed the next record of each partition that the group has committed */
  async forget(topic: string, committed: ReadonlyMap<number, bigint>): Promise<number> {
    const { rowCount } = await this.#pool.query(FORGET, [topic, [...committed.keys()], [...committed.values()]])
    return rowCount ?? 0
  }
}

function valuesOf(records: readonly IncomingRecord[]): [string, number, bigint[], Date[]] {
  const { topic, partition } = records[0]! as Place
  return [topic, partition, records.map(({ offset }) => offset), records.map(timeOf)]
}

const LAST_TIME = Date.parse('9999-12-31T23:59:59Z')

/** Where a topic keeps its senders' clocks, a record's time may be any number. */
const timeOf = ({ timestamp }: IncomingRecord): Date => new Date(Math.min(Math.max(timestamp, 0), LAST_TIME))
