import { arrived, promql, ticket, type AlertRule } from './rule.ts'

/** Tickets of what comes neither as a chunk nor as a request. */
export const doorTickets: AlertRule[] = [
  ticket('RatesQueriesUnanswered', {
    expr: 'rates:door_lag:seconds{door="queries"} > 300',
    for: '2m',
    summary: 'Queries by message get no answer.',
    description: 'The oldest query without an answer has waited for {{ $value | humanizeDuration }}.',
  }),
  ticket('RatesObjectLoadsStuck', {
    expr: promql`
      rates:object_loads_oldest_age:seconds > 900
      or rates:door_lag:seconds{door="objects"} > 900`,
    for: '2m',
    summary: 'Files of the object store wait.',
    description:
      'The oldest object that is to be loaded, or its notification, has waited for {{ $value | humanizeDuration }}.',
  }),
  ticket('RatesObjectsRefused', {
    // An attempt every two seconds: keys that are being changed may be refused for a moment.
    expr: 'sum by (namespace) (increase(rates_object_load_retries_total{reason="refused"}[15m])) > 3',
    summary: 'The object store refuses our keys.',
    description:
      'Within 15 minutes the store refused {{ $value | humanize }} times what workers asked for. After OBJECT_REFUSED_SECONDS the batch of an object fails.',
  }),
  ticket('RatesObjectQuarantined', {
    expr: arrived('rates_object_loads_total{outcome="quarantined"}', 'outcome'),
    summary: 'An object ended three loaders.',
    description: 'Within 15 minutes an object was set aside, as three loads of it came to an end that nobody foresaw.',
  }),
  ticket('RatesObjectTagsFailing', {
    expr: promql`
      (
        sum by (namespace) (increase(rates_object_tags_total{outcome="failed"}[30m])) > 0
        unless on (namespace) sum by (namespace) (increase(rates_object_tags_total{outcome="set"}[30m])) > 0
      )
      or sum by (namespace) (increase(rates_object_tags_total{outcome="given_up"}[1d])) > 0`,
    for: '15m',
    summary: 'Outcomes cannot be tagged on their objects.',
    description:
      'For a quarter of an hour no object got its tag though workers tried; or within a day a tag was given up. Batches and replies are not held up.',
  }),
  ticket('RatesClaimsNotRemoved', {
    expr: 'max by (namespace) (rates_claim_objects_to_remove) > 0',
    for: '1h',
    summary: 'Answers that were put away cannot be removed.',
    description: 'For an hour the bucket has had {{ $value }} objects of claims that expired.',
  }),
]
