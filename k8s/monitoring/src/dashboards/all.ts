import { type Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { bottleneck } from './bottleneck.ts'
import { doors } from './doors.ts'
import { rollout } from './rollout.ts'
import { slo } from './slo.ts'

export const dashboards: readonly Dashboard[] = [bottleneck, rollout, slo, doors]

/** Each dashboard's JSON by its file's name. */
export const dashboardFiles = (): Map<string, string> =>
  new Map(dashboards.map((each) => [`${each.uid}.json`, `${JSON.stringify(each, null, 2)}\n`]))
