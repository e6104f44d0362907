import { describe, expect, it } from '@jest/globals'
import { describeFindings, type Finding } from './finding.ts'
import { judgeKafka } from './kafka.ts'
import { type KafkaFacts, type TopicFacts } from './kafka-facts.ts'
import { judgeMachine, judgeSettings } from './machine.ts'
import { judgePostgres } from './postgres.ts'
import { type LedgerFacts, type PostgresFacts } from './postgres-facts.ts'
import { judgeServices, type ServiceFacts } from './services.ts'

const bad = (findings: Finding[]) =>
  findings.filter(({ level }) => level !== 'ok').map(({ level, check }) => `${level}: ${check}`)

const ledger: LedgerFacts = {
  forbidden: [],
  hidden: 3,
  open: 1,
  oldestOpen: 12,
  oldestOpenId: 'b',
  unsent: 1,
  oldestUnsent: 0.5,
  suspects: 0,
  shortestTrip: 0.02,
  objects: { stuck: 0, stuckName: null, stuckNote: null, refused: null },
}
const postgres: PostgresFacts = {
  version: '13.5',
  versionNumber: 130_005,
  settings: {
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    autovacuum: 'on',
    server_encoding: 'UTF8',
  },
  maxConnections: 97,
  connections: 20,
  role: 'rates',
  superuser: false,
  inRecovery: false,
  clockAhead: -700,
  clockError: 2,
  idle: [],
  pending: [],
  ledger,
}

describe('judgePostgres', () => {
  it('finds nothing where all is well', () => expect(bad(judgePostgres(postgres))).toEqual([]))

  it.each<[Partial<PostgresFacts>, string]>([
    [{ version: '13.4', versionNumber: 130_004 }, 'fault: version'],
    [{ inRecovery: true }, 'fault: writable'],
    [{ pending: ['0002_more'], ledger: undefined }, 'fault: schema'],
    [{ pending: { fault: '0001 was changed' }, ledger: undefined }, 'fault: schema'],
    [{ settings: { ...postgres.settings, fsync: 'off' } }, 'fault: fsync'],
    [{ settings: { ...postgres.settings, full_page_writes: 'off' } }, 'fault: full_page_writes'],
    [{ settings: { ...postgres.settings, synchronous_commit: 'off' } }, 'fault: synchronous_commit'],
    [{ settings: { ...postgres.settings, autovacuum: 'off' } }, 'fault: autovacuum'],
    [{ settings: { ...postgres.settings, server_encoding: 'SQL_ASCII' } }, 'fault: encoding'],
    [{ connections: 79 }, 'warning: connections'],
    [{ connections: 95 }, 'fault: connections'],
    [{ clockAhead: 1_500 }, 'warning: clock'],
    [{ clockAhead: -1_500 }, 'warning: clock'],
    [{ idle: [{ pid: 1, name: 'psql', seconds: 61 }] }, 'warning: transactions'],
    [{ ledger: { ...ledger, forbidden: ['insert on batches'] } }, 'fault: role'],
    [{ ledger: { ...ledger, hidden: 200 } }, 'warning: hidden batches'],
    [{ ledger: { ...ledger, oldestOpen: 3_601 } }, 'warning: open batches'],
    [{ ledger: { ...ledger, oldestUnsent: 61 } }, 'fault: replies'],
    [{ ledger: { ...ledger, suspects: 1 } }, 'warning: workers that died'],
    [{ ledger: { ...ledger, shortestTrip: -2 } }, "warning: Kafka's clock"],
    [
      { ledger: { ...ledger, objects: { stuck: 1, stuckName: 's3://b/k', stuckNote: 'away', refused: null } } },
      'warning: object store',
    ],
    [
      { ledger: { ...ledger, objects: { stuck: 1, stuckName: 's3://b/k', stuckNote: 'refused', refused: 20 } } },
      'fault: object store',
    ],
  ])('%j', (facts, finding) => expect(bad(judgePostgres({ ...postgres, ...facts }))).toEqual([finding]))
})

const lane: TopicFacts = {
  name: 'rates.batches',
  partitions: 12,
  replication: 3,
  inSync: 3,
  leaderless: 0,
  future: false,
  config: {
    'max.message.bytes': '1048588',
    'retention.ms': '604800000',
    'retention.bytes': '-1',
    'message.timestamp.type': 'LogAppendTime',
    'cleanup.policy': 'delete',
    'min.insync.replicas': '2',
  },
}
const letters = {
  ...lane,
  name: 'rates.dead-letters',
  config: { ...lane.config, 'max.message.bytes': '2097152', 'retention.ms': '2592000000' },
}
const others = [
  { ...lane, name: 'rates.batches.bulk' },
  { ...lane, name: 'rates.replies', config: { ...lane.config, 'message.timestamp.type': 'CreateTime' } },
]
const group = { topic: 'rates.batches', group: 'rates-ingest', members: ['a', 'b'], lag: 5, old: 0 }
const questions = { ...lane, name: 'rates.queries', config: { ...lane.config, 'retention.ms': '86400000' } }
const queries = { topic: 'rates.queries', group: 'rates-queries', members: ['rates-api'], lag: 1, old: 0 }
const objects = { topic: 'rates.objects', group: 'rates-objects', members: [], lag: 0, old: 0 }
const kafka: KafkaFacts = {
  brokers: 3,
  topics: [lane, ...others, letters, questions],
  missing: [],
  lanes: [group],
  queries,
  objects,
}
const withLane = (config: Record<string, string>, rest: Partial<TopicFacts> = {}): KafkaFacts => ({
  ...kafka,
  topics: [{ ...lane, ...rest, config: { ...lane.config, ...config } }, ...others, letters],
})

describe('judgeKafka', () => {
  it('finds nothing where all is well', () => {
    expect(bad(judgeKafka(kafka, '', 31))).toEqual([])
    expect(
      bad(
        judgeKafka(
          {
            ...kafka,
            brokers: 1,
            topics: [{ ...lane, replication: 1, inSync: 1, config: { ...lane.config, 'min.insync.replicas': '1' } }],
          },
          '',
          undefined,
        ),
      ),
    ).toEqual([])
  })

  it.each<[string, KafkaFacts, string]>([
    ['no topic', { ...kafka, missing: ['rates.replies'] }, 'fault: rates.replies'],
    ['small records', withLane({ 'max.message.bytes': '919999' }), 'fault: rates.batches'],
    ['smaller records', withLane({ 'max.message.bytes': '1000000' }), 'warning: rates.batches'],
    [
      'small letters',
      { ...kafka, topics: [lane, { ...letters, config: { ...letters.config, 'max.message.bytes': '1048588' } }] },
      'fault: rates.dead-letters',
    ],
    ['a short retention', withLane({ 'retention.ms': '604799999' }), 'fault: rates.batches'],
    ['a retention by size', withLane({ 'retention.bytes': '1000000000' }), 'warning: rates.batches'],
    ['compaction', withLane({ 'cleanup.policy': 'compact,delete' }), 'fault: rates.batches'],
    ["senders' times", withLane({ 'message.timestamp.type': 'CreateTime' }), 'fault: rates.batches'],
    ['no leader', withLane({}, { leaderless: 2 }), 'fault: rates.batches'],
    ['more copies needed than are', withLane({ 'min.insync.replicas': '4' }), 'fault: rates.batches'],
    ['fewer in sync than needed', withLane({}, { inSync: 1 }), 'fault: rates.batches'],
    ['fewer in sync', withLane({}, { inSync: 2 }), 'warning: rates.batches'],
    [
      'one copy on three brokers',
      withLane({ 'min.insync.replicas': '1' }, { replication: 1, inSync: 1 }),
      'warning: rates.batches',
    ],
    ['one copy is enough', withLane({ 'min.insync.replicas': '1' }), 'warning: rates.batches'],
    ['nobody reads', { ...kafka, lanes: [{ ...group, members: [] }] }, 'fault: rates-ingest'],
    ['nobody is there', { ...kafka, lanes: [{ ...group, members: [], lag: 0 }] }, 'warning: rates-ingest'],
    [
      'idle members',
      { ...kafka, lanes: [{ ...group, members: Array<string>(13).fill('w') }] },
      'warning: rates-ingest',
    ],
    ['queries without an answer', { ...kafka, queries: { ...queries, lag: 3, old: 2 } }, 'fault: rates-queries'],
    [
      'queries that nobody reads',
      { ...kafka, queries: { ...queries, members: [], lag: 1, old: 1 } },
      'fault: rates-queries',
    ],
    [
      'queries that go after an hour',
      { ...kafka, topics: [lane, { ...questions, config: { ...questions.config, 'retention.ms': '3600000' } }] },
      'warning: rates.queries',
    ],
    ['events that nobody reads', { ...kafka, objects: { ...objects, lag: 1 } }, 'fault: rates-objects'],
    ['a clock ahead', withLane({}, { future: true }), 'warning: clock'],
  ])('%s', (_, facts, finding) => expect(bad(judgeKafka(facts, '', undefined))).toEqual([finding]))

  it('compares what is kept with the ledger, which has to outlive it', () => {
    expect(bad(judgeKafka(kafka, '', 30))).toEqual(['warning: rates.dead-letters'])
    expect(bad(judgeKafka(kafka, '', 7))).toEqual([
      'fault: rates.batches',
      'fault: rates.batches.bulk',
      'warning: rates.dead-letters',
    ])
    expect(bad(judgeKafka(withLane({ 'retention.ms': '-1' }), '', 400))).toEqual(['fault: rates.batches'])
  })

  it('says what to type', () => {
    const [fault] = judgeKafka(withLane({ 'retention.ms': '1000' }), '', undefined).filter(
      ({ level }) => level === 'fault',
    )
    expect(fault!.remedy).toBe(
      'rates kafka configs --alter --entity-type topics --entity-name rates.batches --add-config retention.ms=604800000',
    )
  })
})

describe('judgeServices', () => {
  const api = { url: 'http://a', version: '1.0.0', fault: undefined }
  const worker: ServiceFacts = {
    name: 'ingest-1',
    url: 'http://b',
    ready: true,
    why: undefined,
    version: '1.0.0',
    crowdedPacks: 0,
  }
  it.each<[string, Parameters<typeof judgeServices>, string[]]>([
    ['all well', [api, [worker]], []],
    ['no API', [{ ...api, fault: 'ECONNREFUSED' }, [worker]], ['fault: API']],
    ['an API somewhere', [undefined, [worker]], ['warning: API']],
    ['not ready', [api, [{ ...worker, ready: false, why: 'postgres: away' }]], ['fault: ingest-1']],
    ['no answer', [api, [{ ...worker, ready: undefined }]], ['fault: ingest-1']],
    ['two versions', [api, [{ ...worker, version: '1.1.0' }]], ['warning: versions']],
  ])('%s', (_, facts, findings) => expect(bad(judgeServices(...facts))).toEqual(findings))
})

describe('judgeMachine and judgeSettings', () => {
  it.each([
    [{ node: '24.1.0', java: undefined, free: 6e9 }, []],
    [{ node: '22.19.0', java: undefined, free: 6e9 }, ['fault: Node']],
    [{ node: '24.1.0', java: false as const, free: 6e9 }, ['warning: Java']],
    [{ node: '24.1.0', java: 'java', free: 4e9 }, ['warning: disk']],
    [{ node: '24.1.0', java: 'java', free: 1e8 }, ['fault: disk']],
  ])('%j', (facts, findings) => expect(bad(judgeMachine(facts))).toEqual(findings))

  it('tells what the services would refuse, and no password', () => {
    const good = { DATABASE_URL: 'postgres://u:secret@h/d', KAFKA_BROKERS: 'h:9092', RATES_URL: 'http://h' }
    const findings = judgeSettings(good)
    expect(bad(findings)).toEqual([])
    expect(JSON.stringify(findings)).not.toContain('secret')
    const wrong = judgeSettings({ DATABASE_URL: 'mysql://u:secret@h/d', KAFKA_PREFIX: 'a b', RATES_URL: 'h:80' })
    expect(bad(wrong)).toEqual([
      'fault: DATABASE_URL',
      'fault: KAFKA_BROKERS',
      'fault: KAFKA_PREFIX',
      'fault: RATES_URL',
    ])
    expect(JSON.stringify(wrong)).not.toContain('secret')
  })
})

describe('describeFindings', () => {
  it('shows an area, its checks, and what to do', () => {
    const findings: Finding[] = [
      { area: 'one', check: 'long name', level: 'ok', found: 'fine' },
      { area: 'two', check: 'b', level: 'fault', found: 'broken', remedy: 'mend it' },
    ]
    expect(describeFindings(findings)).toEqual([
      'one',
      '  ok       long name  fine',
      '',
      'two',
      '  FAULT    b          broken',
      '           mend it',
    ])
  })
})
