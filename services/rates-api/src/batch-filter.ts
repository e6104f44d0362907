import { type Batch } from '@rates/core/batch'
import { wordsQuery } from '@rates/core/words'

export interface ListFilter {
  /** Each is the beginning of a word of the id, the source or the error. */
  words?: readonly string[] | undefined
  state?: readonly Batch['state'][] | undefined
  source?: string | undefined
  retryOf?: string | undefined
  dryRun?: boolean | undefined
  /** Opened at this time or later, and before that one. */
  since?: Date | undefined
  until?: Date | undefined
  /** The page after the one that gave this. */
  cursor?: bigint | undefined
  limit: number
}

/** A condition on a batch `b`, in SQL with TypeORM's names and parameters. */
export interface Condition {
  readonly sql: string
  readonly parameters: Readonly<Record<string, unknown>>
}

/** Of all that is asked for but words. */
export function conditionOf(filter: Omit<ListFilter, 'words'>): Condition {
  const { state, source, retryOf, dryRun, since, until, cursor } = filter
  const all: string[] = ['true']
  if (state !== undefined) all.push(`(${state.map(stateCondition).join(' or ')})`)
  if (source !== undefined) all.push('b.source = :source')
  if (retryOf !== undefined) all.push('b.retryOf = :retryOf')
  if (dryRun !== undefined) all.push('b.dryRun = :dryRun')
  if (since !== undefined) all.push('b.createdAt >= :since')
  if (until !== undefined) all.push('b.createdAt < :until')
  if (cursor !== undefined) all.push('b.no < :cursor')
  const parameters = { source, retryOf, dryRun, since, until, cursor: cursor?.toString() }
  return { sql: all.join(' and '), parameters }
}

const HAS_CHUNKS = 'exists (select from batch_chunks c where c.batch_no = b.no)'

function stateCondition(state: Batch['state']): string {
  if (state === 'pending') return `(b.state = 'open' and not ${HAS_CHUNKS})`
  if (state === 'in_progress') return `(b.state = 'open' and ${HAS_CHUNKS})`
  return `b.state = '${state}'` // one of a closed union, not a caller's text
}

/** As the index batches_words has it. */
const HAS_WORDS = 'batch_words(b.id, b.source, b.error) @@ cast(lower(:words) as tsquery)'

/** Batches in which words are looked for one by one: 5 ms. */
const NEWEST = 1_000

/**
 * Two ways to find words, of which each is slow where the other is fast (docs/decisions/0011): looking through the newest
 * batches, which finds a page of what many have, and asking the index for all that have them, which is as fast as they
 * are few. The planner cannot know which to take: it guesses the same for every beginning of a word. `offset 0` and
 * `limit` keep it from moving conditions in or out.
 */
export function wordConditions(words: readonly string[], filter: ListFilter): [newest: Condition, all: Condition] {
  const others = conditionOf(filter)
  const parameters = { ...others.parameters, words: wordsQuery(words), rows: filter.limit + 1 }
  const pageOf = (from: string, where: string): Condition => ({
    sql: `b.no = any(array(select b.no from (${from}) b where ${where} order by b.no desc limit :rows))`,
    parameters,
  })
  return [
    pageOf(`select b.* from batches b where ${others.sql} order by b.no desc limit ${NEWEST}`, HAS_WORDS),
    pageOf(`select b.* from batches b where ${HAS_WORDS} offset 0`, others.sql),
  ]
}
