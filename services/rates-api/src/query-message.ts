import { readRatesQuery, type RatesQuery } from '@rates/core/rates-query'
import { readHeaders } from '@rates/core/wire'
import { type IncomingRecord } from '@rates/service/kafka'
import { UNREADABLE } from '@rates/service/record-batch-guard'
import { z } from 'zod'
import { type ANSWER_TYPES } from './answers.ts'
import { Problem } from './problem.ts'
import { readParameters } from './route.ts'

/** Of a query's value. */
export const MAX_QUERY_BYTES = 65_536
/** Answers carry the key, and have to fit into a record with it. */
export const MAX_KEY_BYTES = 1_024

export type Question =
  | { query: 'rates'; asked: RatesQuery }
  | { query: 'batch'; id: string; dryRun: boolean }
  | { query: 'errors'; id: string; dryRun: boolean; format: keyof typeof ANSWER_TYPES }

/** A record of the queries' topic: whatever it is, it is answered. */
export interface QueryMessage {
  /** What is asked, or what is wrong with it. */
  question: Question | Problem
  replyTopic: string
  /** What the answer carries of the query: those of its headers that are right. */
  headers: Record<string, string>
  key: Uint8Array | null
}

/** The names of topics that answers may go to; `replies` where the query names none of them. */
export interface AnswerTopics {
  replies: string
  allowed: readonly string[]
}

/** Reads a record; never throws. docs/wire.md has the rules for people. */
export function readQuery(record: IncomingRecord, topics: AnswerTopics): QueryMessage {
  const { right, fault } = readHeaders(record.headers, ['reply-to', 'correlation-id', 'traceparent'])
  const { 'reply-to': replyTo, ...headers } = right
  const key = record.key !== null && record.key.length > MAX_KEY_BYTES ? null : record.key
  const allowed = replyTo === undefined || topics.allowed.includes(replyTo)
  const answered = { replyTopic: allowed && replyTo !== undefined ? replyTo : topics.replies, headers, key }
  try {
    if (fault) throw new Problem(400, `header ${fault.header}: ${JSON.stringify(fault.value)} is not ${fault.rule}`)
    if (!allowed) throw new Problem(400, `header reply-to: ${JSON.stringify(replyTo)} is not on the platform's list`)
    if (key !== record.key) throw new Problem(400, `the key has more than ${MAX_KEY_BYTES} bytes`)
    return { ...answered, question: readQuestion(readDocument(record)) }
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem
    return { ...answered, question: problem }
  }
}

function readDocument(record: IncomingRecord): Readonly<Record<string, unknown>> {
  const { value } = record
  const unreadable = record.headers.get(UNREADABLE)
  if (unreadable !== undefined) throw new Problem(400, `the record batch: ${unreadable}`)
  if (value === null || value.length === 0) throw new Problem(400, 'the record has no value')
  if (value.length > MAX_QUERY_BYTES) {
    throw new Problem(413, `${value.length} bytes; a query may have ${MAX_QUERY_BYTES}`)
  }
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value))
  } catch (error) {
    throw new Problem(400, `it is no JSON in UTF-8: ${(error as Error).message.slice(0, 200)}`)
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Problem(400, 'it is no JSON object')
  }
  return document as Record<string, unknown>
}

const text = z.string().optional()
const ratesParameters = z.object({
  date_from: text,
  date_to: text,
  orig_code: text,
  dest_code: text,
  explain: text,
  format: text,
})
const batchParameters = z.object({
  id: z.string('is missing'),
  dryRun: z.enum(['true', 'false']).default('false'),
})
const errorsParameters = batchParameters.extend({ format: z.enum(['json', 'csv', 'ndjson']).default('json') })

function readQuestion(document: Readonly<Record<string, unknown>>): Question {
  const { query } = read(z.object({ query: z.string().default('rates') }), document)
  switch (query) {
    case 'rates': {
      const asked = readRatesQuery(read(ratesParameters, document))
      if (typeof asked === 'string') throw new Problem(400, asked)
      return { query, asked }
    }
    case 'batch': {
      const { id, dryRun } = read(batchParameters, document)
      return { query, id, dryRun: dryRun === 'true' }
    }
    case 'errors': {
      const { id, dryRun, format } = read(errorsParameters, document)
      return { query, id, dryRun: dryRun === 'true', format }
    }
    default:
      throw new Problem(400, `query: ${JSON.stringify(query.slice(0, 100))} is none of rates, batch, errors`)
  }
}

/** HTTP's parameters are texts; here a `true` without quotes would count as left out. */
function read<S extends z.ZodObject>(schema: S, document: Readonly<Record<string, unknown>>): z.output<S> {
  for (const name of Object.keys(schema.shape)) {
    const value = document[name]
    if (value !== undefined && value !== null && typeof value !== 'string') {
      throw new Problem(400, `${name}: a text is expected, in quotes`)
    }
  }
  return readParameters(schema, document)
}
