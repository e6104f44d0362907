import { promql, type RuleGroup } from './rule.ts'

/** The stages that one loop of a worker goes through, a turn at a time: they share its time. */
export const LOOP = 'decode|validate|copy|publish'
/** Waiting for these is a stage's own; waiting for what comes after it (`downstream`) is not. */
export const CAUSES = 'db|db_lock|pool|broker'

const BUSY = 'rates_ingest_stage_busy_seconds_total'
const IDLE = 'rates_ingest_stage_idle_seconds_total'
const BLOCKED = 'rates_ingest_stage_blocked_seconds_total'

/**
 * Which stage holds the others up, and why: the rules of libs/rates/src/bottleneck.ts in PromQL. A stage's score is the
 * part of its time in which it works or waits for what is its own; docs/decisions/0009 tells why the loop's scores are
 * added up.
 */
export const verdict: RuleGroup = {
  name: 'rates-verdict',
  interval: '15s',
  rules: [
    {
      // Worker-seconds a second: as many as the stage has workers.
      record: 'rates:stage_time:rate1m',
      expr: promql`
        sum by (namespace, stage) (
          label_replace(rate(${BUSY}[1m]), "on", "busy", "", "")
          or label_replace(rate(${IDLE}[1m]), "on", "idle", "", "")
          or rate(${BLOCKED}[1m])
        )`,
    },
    {
      record: 'rates:stage_part:ratio_rate1m',
      expr: promql`
        sum by (namespace, stage, cause) (
          label_replace(rate(${BUSY}[1m]), "cause", "cpu", "", "")
          or label_replace(rate(${BLOCKED}{on=~"${CAUSES}"}[1m]), "cause", "$1", "on", "(.+)")
        )
        / on (namespace, stage) group_left () (rates:stage_time:rate1m > 0)`,
    },
    {
      record: 'rates:stage_score:ratio_rate1m',
      expr: 'sum by (namespace, stage) (rates:stage_part:ratio_rate1m)',
    },
    {
      record: 'rates:loop_score:ratio_rate1m',
      expr: `sum by (namespace) (rates:stage_score:ratio_rate1m{stage=~"${LOOP}"})`,
    },
    {
      // One series a namespace, with the stage's score; none where nothing holds anything up.
      record: 'rates:bottleneck:info',
      expr: promql`
        (topk by (namespace, stage) (1, rates:stage_part:ratio_rate1m) * 0 + 1)
        * on (namespace, stage) group_left () topk by (namespace) (1,
          (rates:stage_score:ratio_rate1m{stage=~"${LOOP}"} and on (namespace) rates:loop_score:ratio_rate1m > 0.5)
          or rates:stage_score:ratio_rate1m{stage!~"${LOOP}"} > 0.5
        )`,
    },
  ],
}
