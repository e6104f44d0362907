import { promql, type RuleGroup } from './rule.ts'

/**
 * What only the leader of the workers exports, as of one minute ago at most: a change of leader leaves a gap of some
 * seconds, and for a moment two may export.
 */
const leader = (metric: string): string => `last_over_time(${metric}[1m])`

/** Rows that workers have dealt with. Not those published: a large batch is published in one instant at its end. */
const rows = (window: string): string => `sum by (namespace) (rate(rates_ingest_rows_total{stage="copy"}[${window}]))`

export const flow: RuleGroup = {
  name: 'rates-flow',
  interval: '15s',
  rules: [
    { record: 'rates:ingest_backlog:rows', expr: `max by (namespace) (${leader('rates_ingest_backlog_rows')})` },
    {
      // The better of two rates: neither a load that has just begun nor a pause of seconds makes it look endless.
      record: 'rates:ingest_rows:rate',
      expr: promql`
        ${rows('1m')} > ${rows('5m')}
        or ${rows('5m')}`,
    },
    {
      // +Inf where rows wait and none are dealt with.
      record: 'rates:ingest_drain:seconds',
      expr: promql`
        (rates:ingest_backlog:rows > 0)
          / on (namespace) (rates:ingest_rows:rate or 0 * rates:ingest_backlog:rows)
        or rates:ingest_backlog:rows == 0`,
    },
    {
      record: 'rates:ingest_oldest_age:seconds',
      expr: `time() - (max by (namespace) (${leader('rates_ingest_oldest_pending_batch_timestamp_seconds')}) > 0)`,
    },
    {
      record: 'rates:ingest_lag:seconds',
      expr: `max by (namespace) (${leader('rates_ingest_consumer_lag_seconds')})`,
    },
    {
      record: 'rates:ingest_slack:seconds',
      expr: `min by (namespace) (${leader('rates_ingest_deadline_slack_seconds')})`,
    },
    {
      record: 'rates:outbox_oldest_age:seconds',
      expr: `time() - (max by (namespace) (${leader('rates_outbox_oldest_timestamp_seconds')}) > 0)`,
    },
    {
      record: 'rates:webhooks_oldest_age:seconds',
      expr: `time() - (max by (namespace) (${leader('rates_webhooks_oldest_timestamp_seconds')}) > 0)`,
    },
    { record: 'rates:door_lag:seconds', expr: `max by (namespace, door) (${leader('rates_door_lag_seconds')})` },
    {
      record: 'rates:object_loads_oldest_age:seconds',
      expr: `time() - (max by (namespace) (${leader('rates_object_loads_oldest_timestamp_seconds')}) > 0)`,
    },
    {
      // A worker that has lost the lease of maintenance goes on to export what it counted last.
      record: 'rates:hidden_batches:count',
      expr: promql`
        max by (namespace) (
          rates_hidden_batches
          and on (namespace, job, instance) (
            rates_maintenance_last_success_timestamp_seconds{task="merge"}
            == on (namespace) group_left () max by (namespace) (rates_maintenance_last_success_timestamp_seconds{task="merge"})
          )
        )`,
    },
  ],
}
