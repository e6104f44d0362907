import { doorTickets } from './doors.ts'
import { arrived, promql, ticket, type RuleGroup } from './rule.ts'

/** Nobody is harmed yet: to be looked at within working hours. */
export const tickets: RuleGroup = {
  name: 'rates-ticket',
  interval: '30s',
  rules: [
    ticket('RatesDeadlineAtRisk', {
      expr: 'rates:ingest_drain:seconds - on (namespace) rates:ingest_slack:seconds > 0',
      for: '3m',
      summary: 'A batch is about to miss its deadline.',
      description:
        'At the present rate, all that waits now is done {{ $value | humanizeDuration }} after the earliest deadline of an open batch.',
    }),
    ticket('RatesBottleneckSaturated', {
      expr: promql`
        rates:bottleneck:info
        and on (namespace) min_over_time(rates:ingest_drain:seconds[15m]) > 60`,
      for: '5m',
      summary: 'The stage {{ $labels.stage }} is the bottleneck ({{ $labels.cause }}).',
      description:
        'For 15 minutes there was more than a minute of work waiting. {{ $labels.stage }} holds it up, by {{ $labels.cause }}: {{ $value | humanizePercentage }} of its time.',
    }),
    ticket('RatesDeadLetterArrived', {
      expr: arrived('rates_ingest_dead_letters_total', 'reason'),
      summary: 'Records were set aside: {{ $labels.reason }}.',
      description: 'Workers could not use records within the last 15 minutes, by {{ $labels.reason }}.',
    }),
    ticket('RatesRebalanceStorm', {
      expr: 'sum by (namespace) (increase(rates_ingest_rebalances_total[5m])) > 0',
      for: '20m',
      summary: 'Workers keep changing their partitions.',
      description:
        'For 20 minutes no five minutes went by without a rebalance: workers come and go, or lose the broker.',
    }),
    ticket('RatesPoolSaturated', {
      expr: 'histogram_quantile(0.99, sum by (namespace, pool, le) (rate(rates_db_pool_wait_seconds_bucket[5m]))) > 0.1',
      for: '10m',
      summary: 'Connections of the pool {{ $labels.pool }} are waited for.',
      description:
        'One in a hundred takers waits for {{ $value | humanizeDuration }} or more for a connection to PostgreSQL.',
    }),
    ticket('RatesEventLoopSaturated', {
      expr: 'max by (namespace, job, instance) (avg_over_time(nodejs_eventloop_utilization_ratio[10m])) > 0.95',
      for: '5m',
      summary: '{{ $labels.instance }} has no time left.',
      description:
        'The event loop of {{ $labels.job }} {{ $labels.instance }} was busy {{ $value | humanizePercentage }} of ten minutes.',
    }),
    ticket('RatesDrainExceedsGrace', {
      expr: promql`
        histogram_quantile(1, sum by (namespace, le) (increase(rates_ingest_drain_duration_seconds_bucket[1h]))) > 20`,
      summary: 'A worker took too long to stop.',
      description:
        'A worker that was told to stop took more than 20 s. After DRAIN_SECONDS it is cut off, and another one does again what it had in hand: nothing is lost, but rollouts are slow.',
    }),
    ticket('RatesWebhooksFailing', {
      // Once the last one was given up nothing waits any more, and yet nobody was told.
      expr: promql`
        rates:webhooks_oldest_age:seconds > 900
        or sum by (namespace) (increase(rates_webhooks_total{outcome="given_up"}[1d])) > 0`,
      for: '5m',
      summary: 'Webhooks are not taken.',
      description:
        'A batch failed more than 15 minutes ago, and whoever takes webhooks does not know; or within a day a webhook was given up.',
    }),
    ...doorTickets,
    ticket('RatesStagingLeak', {
      expr: 'rates:hidden_batches:count > 200',
      for: '30m',
      summary: 'Hidden batches do not go.',
      description: 'Reads filter out {{ $value }} batches that are hidden, and grow slower with each.',
    }),
  ],
}
