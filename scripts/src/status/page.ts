import { listBatches } from '../batch-page.ts'
import { count, duration } from '../progress.ts'
import { verdictUrl } from '../prometheus.ts'
import { indent, plural, printable, table, utc } from '../text.ts'
import { type LaneStatus } from './lanes.ts'
import { type LedgerStatus } from './ledger.ts'
import { type PlatformStatus } from './look.ts'

const columns = (...right: boolean[]) => right.map((each) => ({ title: '', right: each }))

/** The state of a platform on one screen. */
export function describeStatus(status: PlatformStatus): string[] {
  const { at, startedAt } = status
  const since = startedAt === null ? '' : `, started ${duration((Date.parse(at) - Date.parse(startedAt)) / 1000)} ago`
  return [
    `${utc(at)}${since}`,
    '',
    ...services(status),
    '',
    ...topics(status),
    '',
    ...batches(status),
    '',
    ...backlogs(status),
  ]
}

function services({ api, services, prometheus }: PlatformStatus): string[] {
  const rows = services.map(({ name, ready, why, version, url }) => {
    const state = ready === true ? 'ready' : ready === false ? 'not ready' : 'no answer'
    return [name, state, version ?? '', ready === true ? url : (why ?? '')]
  })
  if ('url' in api)
    rows.unshift(['API', api.fault === undefined ? 'answers' : 'no answer', api.version ?? '', api.fault ?? api.url])
  else rows.unshift(['API', 'unknown', '', api.fault])
  if (prometheus !== null) {
    const { ready, url, down } = prometheus
    const missing = down.length > 0 ? `, without an answer from ${down.join(', ')}` : ''
    rows.push(['Prometheus', ready ? 'ready' : 'no answer', '', ready ? `${verdictUrl(url)}${missing}` : url])
  }
  return ['services', ...indent(table(columns(false, false, false, false), rows))]
}

function topics({ kafka }: PlatformStatus): string[] {
  if ('fault' in kafka) return ['topics', `  unknown: ${kafka.fault}`]
  const { lanes, queries, objects } = kafka
  const read = [
    ...lanes.map((lane) => ({ lane, reader: 'worker' })),
    ...(queries === null ? [] : [{ lane: queries, reader: 'API' }]),
    ...(objects === null ? [] : [{ lane: objects, reader: 'worker' }]),
  ]
  const rows = read.map(({ lane, reader }) => [
    lane.topic,
    `${count(lane.lag)} behind`,
    `${plural(lane.workers.length, reader)} on ${plural(lane.partitions, 'partition')}`,
    workersOf(lane),
  ])
  return ['topics', ...indent(table(columns(false, true, false, false), rows))]
}

const workersOf = ({ workers }: LaneStatus): string =>
  workers.map(({ name, partitions }) => `${printable(name)}: ${ranges(partitions)}`).join('; ')

/** `0-3, 7` of ascending numbers; `none`. */
export function ranges(numbers: readonly number[]): string {
  const parts: [from: number, to: number][] = []
  for (const number of numbers) {
    const last = parts.at(-1)
    if (last && last[1] === number - 1) last[1] = number
    else parts.push([number, number])
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ') || 'none'
}

function batches({ api, ledger, open, at }: PlatformStatus): string[] {
  const lines: string[] = []
  if ('fault' in ledger) lines.push(`unknown: ${ledger.fault}`)
  else {
    const { lastPublished: last, failedInDay } = ledger
    const published =
      last === null
        ? 'none is published'
        : `last published ${printable(last.id, 128)}, ${plural(last.rows, 'row')}, ${ago(last.at, at)} ago`
    lines.push(`${ledger.open} open, ${count(failedInDay)} failed in the last 24 h, ${published}`)
    lines.push(...objectsOf(ledger.objects))
  }
  if (Array.isArray(open)) {
    if (open.length > 0) lines.push(...listBatches(open).map((line, i) => line + expected(open[i - 1]?.etaAt, at)))
  } else if ('url' in api) lines.push(`the open ones are unknown: ${open.fault}`)
  return ['batches', ...indent(lines)]
}

/** Objects that become batches; nothing where there are none. */
function objectsOf({ waiting, loading, oldest }: LedgerStatus['objects']): string[] {
  if (oldest === null) return []
  const { name, seconds, note } = oldest
  const why = note === null ? '' : `: ${printable(note, 200)}`
  const told = `the oldest ${printable(name, 128)} for ${duration(seconds)}${why}`
  return [`objects: ${count(loading)} loading, ${count(waiting)} waiting, ${told}`]
}

const ago = (time: string, now: string): string => duration(Math.max(0, (Date.parse(now) - Date.parse(time)) / 1000))

const expected = (etaAt: string | null | undefined, now: string): string =>
  etaAt ? `  done in ${duration(Math.max(0, (Date.parse(etaAt) - Date.parse(now)) / 1000))}` : ''

function backlogs({ ledger, kafka, services }: PlatformStatus): string[] {
  const parts: string[] = []
  if (!('fault' in ledger)) {
    parts.push(`${count(ledger.hidden)} hidden`, `${count(ledger.repliesUnsent)} replies unsent`)
  }
  if (!('fault' in kafka)) parts.push(`${count(kafka.deadLetters)} dead letters`)
  const crowded = services.flatMap(({ crowdedPacks }) => (crowdedPacks === undefined ? [] : [crowdedPacks]))
  // Only the one that holds the lease counts.
  if (crowded.length > 0) parts.push(`${count(Math.max(...crowded))} packs in crowded months`)
  return ['backlogs', `  ${parts.join(', ') || 'unknown'}`]
}
