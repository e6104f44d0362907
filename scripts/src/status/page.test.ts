import { describe, expect, it } from '@jest/globals'
import { describeStatus, ranges } from './page.ts'
import { isComplete, type PlatformStatus } from './look.ts'

const status: PlatformStatus = {
  at: '2026-11-21T12:00:00.000Z',
  startedAt: '2026-11-21T11:00:00.000Z',
  api: { url: 'http://127.0.0.1:8080', version: 'dev', fault: undefined },
  services: [
    { name: 'ingest-1', url: 'http://127.0.0.1:8082', ready: true, why: undefined, version: 'dev', crowdedPacks: 17 },
    {
      name: 'ingest-2',
      url: 'http://127.0.0.1:8083',
      ready: false,
      why: 'postgres: away',
      version: 'dev',
      crowdedPacks: 0,
    },
  ],
  prometheus: null,
  kafka: {
    lanes: [
      {
        topic: 'rates.batches',
        partitions: 12,
        lag: 1_234,
        workers: [
          { name: 'ingest-1', host: 'h', partitions: [0, 1, 2, 7] },
          { name: 'ingest-2', host: 'h', partitions: [] },
        ],
      },
    ],
    queries: {
      topic: 'rates.queries',
      partitions: 6,
      lag: 0,
      workers: [{ name: 'rates-api', host: 'h', partitions: [0, 1, 2, 3, 4, 5] }],
    },
    objects: { topic: 'rates.objects', partitions: 3, lag: 2, workers: [] },
    deadLetters: 3,
  },
  ledger: {
    version: '18.0',
    open: 0,
    lastPublished: { id: 'acme-1', rows: 1_000_000, at: '2026-11-21T11:59:00.000Z' },
    failedInDay: 2,
    hidden: 1,
    repliesUnsent: 0,
    objects: { waiting: 0, loading: 0, oldest: null },
  },
  open: [],
}

describe('describeStatus', () => {
  it('is one screen', () => {
    expect(describeStatus(status)).toEqual([
      '2026-11-21 12:00:00 UTC, started 1 h 0 min ago',
      '',
      'services',
      '  API       answers    dev  http://127.0.0.1:8080',
      '  ingest-1  ready      dev  http://127.0.0.1:8082',
      '  ingest-2  not ready  dev  postgres: away',
      '',
      'topics',
      '  rates.batches  1 234 behind  2 workers on 12 partitions  ingest-1: 0-2, 7; ingest-2: none',
      '  rates.queries      0 behind  1 API on 6 partitions       rates-api: 0-5',
      '  rates.objects      2 behind  0 workers on 3 partitions',
      '',
      'batches',
      '  0 open, 2 failed in the last 24 h, last published acme-1, 1 000 000 rows, 1 min 0 s ago',
      '',
      'backlogs',
      '  1 hidden, 0 replies unsent, 3 dead letters, 17 packs in crowded months',
    ])
    expect(isComplete(status)).toBe(true)
  })

  it('tells of objects that are on their way, and why the oldest waits', () => {
    const oldest = { name: 's3://prices/a.csv', seconds: 192.4, note: 'the store refuses our credentials' }
    const ledger = { ...status.ledger, objects: { waiting: 1_000, loading: 2, oldest } } as PlatformStatus['ledger']
    expect(describeStatus({ ...status, ledger })).toContain(
      '  objects: 2 loading, 1 000 waiting, the oldest s3://prices/a.csv for 3 min 12 s: the store refuses our credentials',
    )
  })

  it('does without topics that are not there', () => {
    const kafka = { ...status.kafka, queries: null, objects: null } as PlatformStatus['kafka']
    expect(describeStatus({ ...status, kafka }).join('\n')).not.toMatch(/rates\.(queries|objects)/)
  })

  it('names the Prometheus beside it, and who does not answer it', () => {
    const shown = (ready: boolean, down: string[]) =>
      describeStatus({ ...status, prometheus: { url: 'http://127.0.0.1:9090', ready, down } })[6]
    expect(shown(true, [])).toMatch(
      /^ {2}Prometheus +ready +http:\/\/127.0.0.1:9090\/graph\?g0.expr=rates%3Abottleneck/,
    )
    expect(shown(true, ['ingest 127.0.0.1:8083'])).toMatch(/, without an answer from ingest 127.0.0.1:8083$/)
    expect(shown(false, [])).toMatch(/^ {2}Prometheus +no answer +http:\/\/127.0.0.1:9090$/)
  })

  it('shows the rest where a part is away', () => {
    const fault = { fault: 'connect ECONNREFUSED' }
    const page = describeStatus({ ...status, kafka: fault, ledger: fault, open: fault }).join('\n')
    expect(page).toContain('topics\n  unknown: connect ECONNREFUSED')
    expect(page).toContain('batches\n  unknown: connect ECONNREFUSED\n  the open ones are unknown: ')
    expect(page).toContain('backlogs\n  17 packs in crowded months')
    for (const part of ['kafka', 'ledger'] as const) expect(isComplete({ ...status, [part]: fault })).toBe(false)
    // That nobody said where the API is does not count; that it does not answer does.
    expect(isComplete({ ...status, api: fault })).toBe(true)
    expect(isComplete({ ...status, api: { url: 'u', version: undefined, fault: 'away' } })).toBe(false)
  })
})

describe('ranges', () => {
  it.each([
    [[], 'none'],
    [[3], '3'],
    [[0, 1, 2, 4, 6, 7], '0-2, 4, 6-7'],
  ])('%j', (numbers, text) => expect(ranges(numbers)).toBe(text))
})
