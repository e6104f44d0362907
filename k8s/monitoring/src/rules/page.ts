import { arrived, page, promql, type RuleGroup } from './rule.ts'
import { burns } from './slo.ts'

/** Somebody is harmed now, or is about to be. */
export const pages: RuleGroup = {
  name: 'rates-page',
  interval: '30s',
  rules: [
    page('RatesBatchDeadlineBudgetBurn', {
      expr: burns('batch_deadline', 2),
      for: '2m',
      summary: 'Batches miss their deadlines.',
      description:
        '{{ $value | humanizePercentage }} of the batches with a deadline were late: the 28 days’ budget of 0.5 % is used up within days.',
    }),
    page('RatesApiErrorBudgetBurn', {
      expr: burns('api_availability', 10),
      for: '2m',
      summary: 'The API answers with errors.',
      description:
        '{{ $value | humanizePercentage }} of the requests were answered with 5xx: the 28 days’ budget of 0.05 % is used up within days.',
    }),
    page('RatesApiLatencyBudgetBurn', {
      expr: burns('api_latency', 10),
      for: '2m',
      summary: 'Reads of rates are slow.',
      description:
        '{{ $value | humanizePercentage }} of the reads of /rates took longer than 100 ms: the 28 days’ budget of 1 % is used up within days.',
    }),
    page('RatesIngestStalled', {
      // A batch may be open for long because its sender is slow: it counts only past twice CHUNK_TIMEOUT_SECONDS.
      expr: promql`
        (rates:ingest_lag:seconds > 300 or rates:ingest_oldest_age:seconds > 1800)
        unless on (namespace) sum by (namespace) (rate(rates_ingest_chunks_total[5m])) > 0
        unless on (namespace) sum by (namespace) (rate(rates_ingest_batches_total[5m])) > 0
        unless on (namespace) sum by (namespace) (rate(rates_ingest_dead_letters_total[5m])) > 0`,
      for: '2m',
      summary: 'Batches wait and nothing is done.',
      description:
        'The oldest record or batch waits for {{ $value | humanizeDuration }}, and for five minutes no worker has stored a chunk or ended a batch.',
    }),
    page('RatesInvariantViolated', {
      expr: arrived('rates_ingest_invariant_violations_total', 'invariant'),
      summary: 'What must always hold did not: {{ $labels.invariant }}.',
      description:
        'The invariant {{ $labels.invariant }} was found violated within the last 15 minutes. Data or replies may be wrong: find out before anything else is changed.',
    }),
    page('RatesOutboxStuck', {
      expr: 'rates:outbox_oldest_age:seconds > 120',
      for: '2m',
      summary: 'Senders get no replies.',
      description: 'The oldest reply waits for {{ $value | humanizeDuration }} to be sent.',
    }),
    page('RatesDatabaseUnwritable', {
      // The relay holds a lease, which it has to write every few seconds.
      expr: promql`
        (
          count by (namespace) (rates_ingest_draining == 0)
          and on (namespace) sum by (namespace) (max_over_time(rates_ingest_stage_workers{stage="respond"}[1m])) == 0
        )
        or (
          sum by (namespace) (increase(rates_ingest_retries_total[2m])) > 0
          and on (namespace) sum by (namespace) (increase(rates_db_commit_duration_seconds_count[2m])) == 0
        )`,
      for: '1m',
      summary: 'PostgreSQL takes no writes.',
      description:
        'Workers run, but none can hold a lease, or all that they try to store is tried again and nothing is committed. Batches wait in Kafka; nothing is lost.',
    }),
    page('RatesMetricsAbsent', {
      expr: [
        absentOf('rates_ingest_draining', 'ingest'),
        absentOf('rates_api_uploads_in_progress', 'rates-api'),
        unseenSystem(),
      ].join('\nor '),
      for: '5m',
      summary: 'Nothing is seen of {{ $labels.component }}.',
      description:
        'No process exports the metrics of {{ $labels.component }}: either none runs, or it cannot be reached, or (system) the leading worker cannot see PostgreSQL and Kafka. No other alert tells of what cannot be seen.',
    }),
  ],
}

/**
 * Workers run, one of them holds a lease, so PostgreSQL takes writes, and yet none exports what its leader alone knows.
 */
function unseenSystem(): string {
  return promql`
    label_replace(
      sum by (namespace) (rates_ingest_stage_workers{stage="respond"}) > 0
      unless on (namespace) max by (namespace) (last_over_time(rates_ingest_backlog_rows[1m])),
      "component", "system", "", "")`
}

/** Where it was within the last hour and is no more; or nowhere at all. */
function absentOf(metric: string, component: string): string {
  const within = `max_over_time(${metric}[1h])`
  const gone = `(group by (namespace) (${within}) unless group by (namespace) (${metric}))`
  return `label_replace(${gone} or absent(${within}), "component", "${component}", "", "")`
}
