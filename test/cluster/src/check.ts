import { type TestBatch } from '@rates/testing/batches'
import { settled } from '@rates/testing/facts'
import { checkInvariants, type Violation } from '@rates/testing/invariants'
import { seenReply, type Line, type SeenReply, type Watched } from '@rates/testing/line'

export interface Checked {
  batches: number
  rows: number
  /** Records on the topic of replies for these batches, and how many of them differ. */
  replies: number
  distinctReplies: number
  violations: Violation[]
}

/**
 * The invariants of docs/architecture.md, for batches that Kafka or the API has acknowledged: each succeeded, has one row
 * in the ledger and one distinct reply, and what is stored of it is what was sent, once.
 * @param replies a reader of the replies, from before the first batch was sent
 */
export async function check(line: Line, batches: readonly TestBatch[], replies: Watched): Promise<Checked> {
  // The replies are read once for all batches: not before the last one was sent.
  await settled(line, 120_000)
  const seen = (await replies.all()).map((record) => ({ of: record.headers.get('batch-id'), reply: seenReply(record) }))
  const byBatch = Map.groupBy(seen, ({ of }) => of)
  const repliesOf = ({ id }: TestBatch): SeenReply[] => (byBatch.get(id) ?? []).map(({ reply }) => reply)
  const sent = batches.map((batch) => ({ batch, replies: repliesOf(batch) }))
  // Of large batches, each in a month of its own, a few are compared: readers have watched all of them.
  const months = Map.groupBy(batches, (batch) => batch.month)
  const alone = [...months].filter(([, together]) => together.length === 1).map(([month]) => month)
  const left = new Set(alone.slice(10))
  const violations = await checkInvariants(line, sent, { compared: (month) => !left.has(month) })
  violations.push(...(await applications(line, batches)))
  const rows = await line.pool.query<{ rows: number }>(
    `select sum(rows_accepted)::float8 as rows from batches where id = any($1)`,
    [batches.map(({ id }) => id)],
  )
  return {
    batches: batches.length,
    rows: rows.rows[0]?.rows ?? 0,
    replies: sent.reduce((count, each) => count + each.replies.length, 0),
    distinctReplies: sent.reduce((count, each) => count + new Set(each.replies.map(({ id }) => id)).size, 0),
    violations,
  }
}

/** An upload that was sent again must not have become two batches. */
async function applications(line: Line, batches: readonly TestBatch[]): Promise<Violation[]> {
  const { rows } = await line.pool.query<{ id: string }>(
    `select id from batches where source in ('uploads', 'batches') and state = 'succeeded' and id <> all($1)`,
    [batches.map(({ id }) => id)],
  )
  return rows.map(({ id }) => ({ invariant: 'I2', batch: id, message: 'succeeded, and nobody was told so' }) as const)
}

/** As lines, for a message. */
export const told = (violations: readonly Violation[]): string[] =>
  violations.slice(0, 30).map(({ invariant, batch, message }) => `${invariant} ${batch ?? '-'}: ${message}`)
