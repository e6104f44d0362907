import { createHash } from 'node:crypto'
import { type Cause, type Stage } from '@rates/core/bottleneck'
import { type BottleneckView } from './bottleneck.ts'
import { PAGE_STYLE } from './bottleneck-style.ts'

const REFRESH_SECONDS = 5

/** What the stage does, and what the sentence says of it. */
const STAGE_NAMES: Record<Stage, string> = {
  fetch: 'reads records from Kafka',
  decode: 'reads headers, decompresses, checks',
  validate: 'reads rows and checks them',
  copy: 'stores rows in PostgreSQL',
  publish: 'gives batches their outcome',
  respond: 'sends replies',
}

const CAUSES: Record<Cause, { is: string; advice: string }> = {
  cpu: { is: 'it computes', advice: 'More workers, or more CPU for each, make it faster.' },
  db: {
    is: 'it waits for PostgreSQL',
    advice: "Look at PostgreSQL's disk and CPU: the wait events in pg_stat_activity tell which of them it is.",
  },
  db_lock: {
    is: 'it waits for a lock in PostgreSQL',
    advice: 'Find who holds it: select pid, pg_blocking_pids(pid), query from pg_stat_activity.',
  },
  pool: {
    is: 'it waits for a connection of its pool',
    advice: 'Raise DATABASE_POOL, or find what holds the connections: a statement in pg_stat_activity that goes on.',
  },
  broker: {
    is: 'it waits for Kafka',
    advice: "Look at the broker's disk, the network, and quotas: rates kafka configs --describe --entity-type clients.",
  },
}

const PARTS = [
  ['cpu', 'computes'],
  ['db', 'PostgreSQL'],
  ['db_lock', 'lock'],
  ['pool', 'pool'],
  ['broker', 'Kafka'],
  ['downstream', 'next stage'],
  ['idle', 'idle'],
] as const

/** Puts what the service says now into the page; while it does not answer, the page says so and keeps what it had. */
const SCRIPT = `'use strict'
const stale = document.getElementById('stale')
setInterval(async () => {
  if (document.hidden) return
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(4000) })
    if (!answer.ok) throw new Error(answer.statusText)
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    document.querySelector('main').replaceWith(fresh.querySelector('main'))
    document.title = fresh.title
    stale.hidden = true
  } catch {
    stale.hidden = false
  }
}, ${REFRESH_SECONDS * 1000})
`

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The page has no other script and style than those two, and asks nobody but this service. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(PAGE_STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function bottleneckPage(view: BottleneckView): string {
  const { verdict } = view
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${verdict ? `${verdict.stage}: ${verdict.cause}` : 'no bottleneck'} · Rates</title>
<link rel="icon" href="docs/favicon-32x32.png">
<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS}"></noscript>
<style>${PAGE_STYLE}</style>
<p id="stale" hidden>No answer from the service: what is shown is old.</p>
<main>
${headline(view)}
${facts(view)}
${stages(view)}
${workers(view)}
<footer>${clock(view.at)} UTC · the last ${view.windowSeconds} s of ${plural(view.reporting, 'worker')} · <a href="bottleneck?format=json">JSON</a> · <a href="batches?state=pending,in_progress">open batches</a> · <a href="docs">API</a></footer>
</main>
<script>${SCRIPT}</script>
</html>
`
}

function headline({ verdict, reporting, at }: BottleneckView): string {
  if (reporting === 0) {
    return `<header class="unknown"><h1>Unknown</h1><p>No worker has told in the last minute what it does.</p></header>`
  }
  if (verdict === null) {
    return `<header class="none"><h1>No bottleneck</h1><p>The workers have time left.</p></header>`
  }
  const { stage, cause, score, since } = verdict
  const { is, advice } = CAUSES[cause]
  return `<header class="found"><h1>${stage}: <span class="cause">${cause}</span></h1>
<p>The stage that ${STAGE_NAMES[stage]} is the bottleneck: ${is}. Score ${percent(score)}, for ${duration(between(since, at))}.</p>
<p>${advice}</p></header>`
}

function facts({ backlog, openBatches, oldest, earliestDeadline: urgent, stages }: BottleneckView): string {
  const published = stages.find(({ stage }) => stage === 'publish')?.rowsPerSecond ?? 0
  const drain = backlog?.drainSeconds ?? 0
  const rows: [name: string, value: string, more: string, alarm?: boolean][] = [
    ['published', `${count(published)} rows/s`, ''],
    ['waiting in Kafka', ...waiting(backlog)],
    ['drain time', drainTime(backlog), ''],
    [
      'oldest open batch',
      oldest ? duration(oldest.ageSeconds) : 'none',
      oldest ? `${link(oldest.id)} of ${count(openBatches)}` : '',
    ],
    [
      'earliest deadline',
      urgent ? slack(urgent.slackSeconds) : 'none',
      urgent ? link(urgent.id) : '',
      urgent !== null && urgent.slackSeconds < drain,
    ],
  ]
  const items = rows.map(
    ([name, value, more, alarm]) =>
      `<div${alarm ? ' class="alarm"' : ''}><dt>${name}</dt><dd>${value}</dd>${more === '' ? '' : `<dd class="more">${more}</dd>`}</div>`,
  )
  return `<dl>${items.join('')}</dl>`
}

function waiting(backlog: BottleneckView['backlog']): [value: string, more: string] {
  if (backlog === null) return ['unknown', '']
  const { rows, records, oldestSeconds } = backlog
  return [`${count(rows)} rows`, records === 0 ? '' : `${plural(records, 'record')}, for ${duration(oldestSeconds)}`]
}

function drainTime(backlog: BottleneckView['backlog']): string {
  if (backlog === null) return 'unknown'
  if (backlog.rows === 0) return 'nothing waits'
  return backlog.drainSeconds === null ? 'nothing is stored' : duration(backlog.drainSeconds)
}

function stages({ stages: all, verdict }: BottleneckView): string {
  const rows = all.map((each) => {
    const { stage, score, rowsPerSecond } = each
    const here = verdict?.stage === stage ? ' class="here"' : ''
    const rate = rowsPerSecond === null ? '' : count(rowsPerSecond)
    return `<tr${here}><th scope="row">${stage}</th><td class="wide">${bar(each)}</td><td>${percent(score)}</td><td>${rate}</td></tr>`
  })
  const legend = PARTS.map(
    ([part, name]) =>
      `<li><svg class="key" viewBox="0 0 1 1"><rect class="${part}" width="1" height="1"/></svg>${name}</li>`,
  )
  return `<table class="stages"><caption>What the stages did</caption>
<thead><tr><th scope="col">stage</th><th scope="col" class="wide">time</th><th scope="col">score</th><th scope="col">rows/s</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>
<ul class="legend">${legend.join('')}</ul>
<p class="note">decode, validate, copy and publish share each worker's one loop: their scores add up.</p>`
}

/** Widths as attributes of SVG: the policy allows no style but the page's. */
function bar({ busy, idle, blocked }: BottleneckView['stages'][number]): string {
  const parts = { cpu: busy, idle, ...blocked }
  const told = PARTS.filter(([part]) => parts[part] >= 0.005).map(([part, name]) => `${name} ${percent(parts[part])}`)
  const label = told.join(', ') || 'nothing is known'
  let x = 0
  const rects = PARTS.map(([part, name]) => {
    const width = 100 * parts[part]
    const rect = `<rect class="${part}" x="${x.toFixed(2)}" width="${width.toFixed(2)}" height="10"><title>${name} ${percent(parts[part])}</title></rect>`
    x += width
    return width < 0.05 ? '' : rect
  })
  return `<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${rects.join('')}</svg><span class="said">${label}</span>`
}

function workers({ workers: all, at }: BottleneckView): string {
  if (all.length === 0) return '<p class="note">No worker was seen in the last ten minutes.</p>'
  const rows = all.map(({ name, version, startedAt, seenAt, endedAt, drainSeconds }) => {
    const silent = between(seenAt, at)
    const drained = drainSeconds === null ? '' : `, drained in ${duration(drainSeconds)}`
    const state =
      endedAt !== null
        ? `ended ${duration(between(endedAt, at))} ago${drained}`
        : silent > 20
          ? `silent for ${duration(silent)}`
          : drainSeconds !== null
            ? `draining for ${duration(drainSeconds + silent)}`
            : `runs for ${duration(between(startedAt, at))}`
    return `<tr${endedAt === null && silent > 20 ? ' class="alarm"' : ''}><th scope="row">${escape(name)}</th><td>${escape(version)}</td><td>${state}</td><td>${duration(silent)} ago</td></tr>`
  })
  return `<table class="workers"><caption>Workers</caption>
<thead><tr><th scope="col">name</th><th scope="col">version</th><th scope="col">state</th><th scope="col">last seen</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`
}

const link = (id: string): string => `<a href="batches/${encodeURIComponent(id)}">${escape(id)}</a>`

const slack = (seconds: number): string =>
  seconds < 0 ? `passed ${duration(-seconds)} ago` : `in ${duration(seconds)}`

const between = (from: string, to: string): number => Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000)

const clock = (time: string): string => time.slice(11, 19)

const percent = (part: number): string => `${Math.round(part * 100)}\u202f%`

const count = (value: number): string => String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, '\u202f')

const plural = (n: number, one: string): string => `${count(n)} ${n === 1 ? one : `${one}s`}`

function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!)
}
