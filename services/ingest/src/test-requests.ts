import { expect } from '@jest/globals'
import { OBJECT_TYPE, type BatchHeaders } from '@rates/core/wire'
import { groupNames } from '@rates/service/topics'
import { chunkRecords, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { backlog, leftovers } from '@rates/testing/facts'
import { type Line } from '@rates/testing/line'
import { bindLoad } from './object-bind.ts'

/** A request's row. */
interface Row {
  no: bigint
  batch_no: bigint | null
  id: string | null
  repeats: boolean
  state: string
  headers: Partial<BatchHeaders>
  tagged: boolean
}

/** What tests of requests for objects do and ask; its objects are not there, and no test looks at one. */
export function testRequests(line: () => Line) {
  let named = 0
  const object = () => ({ bucket: 'prices', key: `day/${++named}.csv`, etag: `etag-${named}` })

  const unpinned = () => {
    const { bucket, key } = object()
    return { bucket, key }
  }

  const claim = (what: object | string, headers: Record<string, string> = {}) => ({
    topic: line().topics.batches,
    headers: { 'content-type': OBJECT_TYPE, ...headers },
    value: Buffer.from(typeof what === 'string' ? what : JSON.stringify(what)),
  })

  const event = (...objects: object[]) => ({
    topic: line().topics.objects,
    headers: {},
    value: Buffer.from(
      JSON.stringify({
        Records: objects.map((each) => {
          const { bucket, key, etag, ...more } = each as Record<string, string>
          return {
            eventName: 's3:ObjectCreated:Put',
            s3: { bucket: { name: bucket }, object: { key, eTag: etag, size: 9, ...more } },
          }
        }),
      }),
    ),
  })

  /** Those that ask for an object. */
  const rowsOf = async ({ key }: { key: string }): Promise<Row[]> => {
    const { rows } = await line().pool.query<Row>(
      `select l.no, l.batch_no, b.id, l.repeats, case l.state when 'loading' then 'waiting' else l.state end as state,
         l.headers, l.tag_at is not null or l.tag_attempts > 0 as tagged
       from object_loads l left join batches b on b.no = l.batch_no where l.object_key = $1 order by l.no`,
      [key],
    )
    return rows
  }
  const noted = (what: { key: string }, count = 1): Promise<Row[]> =>
    eventually(async () => {
      const rows = await rowsOf(what)
      return rows.length === count && rows
    }) as Promise<Row[]>

  const batchOf = async (id: string, dryRun = false) => {
    const { rows } = await line().pool.query<{ state: string; error: string | null; topic: string | null }>(
      `select state, error ->> 'code' as error, topic from batches where id = $1 and dry_run = $2`,
      [id, dryRun],
    )
    return rows[0]
  }

  const found = (etag: string, metadata: Record<string, string> = {}) => ({ etag, size: 9, metadata })
  const bind = (no: bigint, seen?: ReturnType<typeof found>) =>
    bindLoad(line().pool, no, seen, {
      replies: {
        replies: line().topics.replies,
        allowed: [line().topics.replies, `${line().prefix}team.replies`],
        webhooks: null,
      },
    })

  /** What a loader does. */
  async function load(headers: Partial<BatchHeaders>, batch: TestBatch): Promise<void> {
    await line().send(
      await chunkRecords(line().topics.bulk, headers as BatchHeaders, batch.lines, { chunks: 3, total: 'last' }),
    )
    await line().pool.query(
      `update object_loads set state = 'sent', sent_at = clock_timestamp() where headers ->> 'batchId' = $1 and not repeats`,
      [headers.batchId],
    )
  }

  /** Some of the batches are not to end: nothing else is left. */
  const quiet = async (): Promise<void> => {
    await eventually(async () => (await backlog(line())) === 0n, { what: 'the backlog reaching zero' })
    await eventually(async () => {
      const partitions = await line().admin.progress(groupNames(line().prefix).objects, line().topics.objects)
      return partitions.every(({ low, high, committed }) => (committed ?? low) === high)
    })
    await eventually(async () => (await leftovers(line())).unsent === 0, { what: 'the outbox being sent' })
  }

  const refusedWith = async (id: string, reason: string) => {
    const letter = await eventually(async () => (await line().deadLetters(id))[0])
    expect(letter.headers.get('dead-letter-reason')).toBe(reason)
    const reply = await eventually(async () =>
      (await line().replies(id)).map(({ reply }) => reply).find(({ state }) => state === reason),
    )
    expect(reply.error!.code).toBe(reason)
    return reply.error!.message
  }
  return { object, unpinned, claim, event, rowsOf, noted, batchOf, found, bind, load, quiet, refusedWith }
}
