import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type NotedAnswer } from './query-answers.ts'
import { Problem } from './problem.ts'
import { type QueryMessage } from './query-message.ts'

/** Of answers in seconds: from a rate out of memory to one that waited for a server to come back. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900]
const QUERIES = ['rates', 'batch', 'errors', 'none'] as const
const STATUSES = ['2xx', '4xx', '5xx'] as const

export type QueryMetrics = ReturnType<typeof queryMetrics>

export function queryMetrics(registry: Registry) {
  const registers = [registry]
  const answers = new Counter({
    name: 'rates_queries_total',
    help: 'Answers to queries by message that were sent.',
    labelNames: ['query', 'status'],
    registers,
  })
  for (const query of QUERIES) for (const status of STATUSES) answers.inc({ query, status }, 0)
  const seconds = new Histogram({
    name: 'rates_query_duration_seconds',
    help: "From a query's record time to its answer being acknowledged by Kafka.",
    buckets: BUCKETS,
    registers,
  })
  const bytes = new Counter({
    name: 'rates_query_answer_bytes_total',
    help: 'Bytes of answers as they were sent.',
    registers,
  })
  return {
    inFlight: new Gauge({
      name: 'rates_queries_in_flight',
      help: 'Queries that were taken, and are not answered yet.',
      registers,
    }),
    claims: new Counter({
      name: 'rates_query_claims_total',
      help: 'Answers that were put away, for their size.',
      registers,
    }),
    diverted: new Counter({
      name: 'rates_query_answers_diverted_total',
      help: 'Answers sent to the default topic, as their own does not take them.',
      registers,
    }),
    /** @param recordTime of the query, in milliseconds since 1970 */
    sent({ question }: QueryMessage, { headers, body }: NotedAnswer, recordTime: number): void {
      const query = question instanceof Problem ? 'none' : question.query
      answers.inc({ query, status: `${headers['status']!.charAt(0)}xx` })
      bytes.inc(body.length)
      seconds.observe(Math.max(0, Date.now() - recordTime) / 1000)
    },
  }
}
