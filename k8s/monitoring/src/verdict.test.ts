import { describe, expect, it } from '@jest/globals'
import { bottleneck, stageParts, type Stage, type StageSeconds, type WorkerSeconds } from '@rates/core/bottleneck'
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

interface Case {
  name: string
  input_series: { series: string; values: string }[]
  promql_expr_test: { exp_samples: { labels: string; value: number }[] }[]
}

const file = new URL('../rules-tests/verdict.yaml', import.meta.url)
const { tests } = parse(readFileSync(file, 'utf8')) as { tests: Case[] }

const labelsOf = (series: string): Record<string, string> =>
  Object.fromEntries([...series.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))

/** What the counters of one environment say after an interval. */
function secondsOf(series: Case['input_series'], namespace: string | undefined): WorkerSeconds {
  const seconds: Partial<Record<Stage, StageSeconds>> = {}
  for (const { series: name, values } of series) {
    const labels = labelsOf(name)
    if (labels['namespace'] !== namespace) continue
    const stage = (seconds[labels['stage'] as Stage] ??= { busy: 0, idle: 0, blocked: {} })
    const value = Number(/^0\+([\d.]+)x/.exec(values)![1])
    if (name.includes('_busy_')) stage.busy = value
    else if (name.includes('_idle_')) stage.idle = value
    else stage.blocked[labels['on'] as 'db'] = value
  }
  return seconds
}

const zero = (seconds: WorkerSeconds): WorkerSeconds =>
  Object.fromEntries(Object.keys(seconds).map((stage) => [stage, { busy: 0, idle: 0, blocked: {} }]))

describe('the page /bottleneck and Prometheus say the same', () => {
  it.each(tests.map((each) => [each.name, each] as const))('%s', (_name, { input_series, promql_expr_test }) => {
    const namespaces = new Set(input_series.map(({ series }) => labelsOf(series)['namespace']))
    const verdicts = [...namespaces].flatMap((namespace) => {
      const seconds = secondsOf(input_series, namespace)
      const verdict = bottleneck(stageParts(new Map([['a', zero(seconds)]]), new Map([['a', seconds]])))
      if (!verdict) return []
      const { stage, cause, score } = verdict
      return [
        { ...(namespace === undefined ? {} : { namespace }), stage, cause, score: Math.round(score * 1000) / 1000 },
      ]
    })
    const expected = promql_expr_test[0]!.exp_samples.map(({ labels, value }) => ({
      ...labelsOf(labels),
      score: value,
    }))
    expect(verdicts).toEqual(expect.arrayContaining(expected))
    expect(verdicts).toHaveLength(expected.length)
  })
})
