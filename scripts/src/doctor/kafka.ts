import { MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { topicNames } from '@rates/service/topics'
import { count, duration, megabytes } from '../progress.ts'
import { plural, printable } from '../text.ts'
import { Findings, type Finding } from './finding.ts'
import { type KafkaFacts, type LaneFacts, type TopicFacts } from './kafka-facts.ts'

export const KAFKA = 'Kafka'
/** A chunk, its headers, and the record batch around it; and what "rates topics" gives. */
const CHUNK_BYTES = MAX_CHUNK_WIRE_BYTES + 20_000
const LANE_BYTES = 1_048_588
const LETTER_BYTES = 2 << 20
const WEEK = 7 * 24 * 3600 * 1000
const DAY = 24 * 3600 * 1000

/**
 * What is right and wrong with the broker, the topics and the groups; reads nothing but the facts.
 * @param ledgerDays how long the ledger is kept; undefined: for ever, or not known here
 */
export function judgeKafka(facts: KafkaFacts, prefix: string, ledgerDays: number | undefined): Finding[] {
  const findings = new Findings(KAFKA)
  const names = topicNames(prefix)
  findings.ok('brokers', plural(facts.brokers, 'broker'))
  for (const name of facts.missing) findings.fault(name, 'it is not there', 'rates topics')
  for (const topic of facts.topics) {
    const lane = topic.name === names.batches || topic.name === names.bulk
    const smallest = lane ? CHUNK_BYTES : topic.name === names.deadLetters ? LETTER_BYTES : 0
    const before = findings.all.length
    judgeSize(findings, topic, smallest, lane ? LANE_BYTES : smallest)
    judgeCopies(findings, topic, facts.brokers)
    judgeKeeping(findings, topic, { lane, queries: topic.name === names.queries }, ledgerDays)
    if (findings.all.length === before) findings.ok(topic.name, describeTopic(topic))
  }
  for (const lane of facts.lanes) {
    judgeLane(findings, lane, facts.topics.find(({ name }) => name === lane.topic)?.partitions ?? 0)
  }
  if (facts.queries) judgeQueries(findings, facts.queries)
  if (facts.objects) judgeObjects(findings, facts.objects)
  if (facts.topics.some(({ name, future }) => future && (name === names.batches || name === names.bulk))) {
    const remedy = "Time limits of batches run on the brokers' clock: let it and this machine's follow NTP."
    findings.warning('clock', "records came in this machine's future: the brokers' clock is ahead", remedy)
  } else findings.ok('clock', "no record came in this machine's future")
  return findings.all
}

const configure = (topic: string, key: string, value: string | number): string =>
  `rates kafka configs --alter --entity-type topics --entity-name ${topic} --add-config ${key}=${value}`

function judgeSize(findings: Findings, { name, config }: TopicFacts, needed: number, usual: number): void {
  const found = Number(config['max.message.bytes'])
  if (found >= usual) return
  const remedy = configure(name, 'max.message.bytes', usual)
  const what = `it takes records of ${count(found)} bytes`
  if (found < needed) findings.fault(name, `${what}, not of ${count(needed)}`, remedy)
  else findings.warning(name, `${what}; ${count(usual)} is usual`, remedy)
}

function judgeCopies(findings: Findings, topic: TopicFacts, brokers: number): void {
  const { name, replication, inSync, leaderless, config } = topic
  const needed = Number(config['min.insync.replicas'] ?? 1)
  if (leaderless > 0) {
    findings.fault(name, `${plural(leaderless, 'partition')} without a leader`, 'A broker is down: start it again.')
  } else if (needed > replication) {
    const remedy = configure(name, 'min.insync.replicas', replication)
    findings.fault(
      name,
      `min.insync.replicas is ${needed}, and there ${replication === 1 ? 'is 1 copy' : `are ${replication} copies`}: nothing can be sent`,
      remedy,
    )
  } else if (inSync < needed) {
    findings.fault(
      name,
      `a partition has ${inSync} copies in sync of the ${needed} that are needed: nothing can be sent there`,
      'A broker is down or far behind: start it again.',
    )
  } else if (inSync < replication) {
    findings.warning(
      name,
      `a partition has ${inSync} copies in sync of ${replication}`,
      'A broker is down or far behind.',
    )
  }
  if (brokers > 1 && replication === 1) {
    findings.warning(
      name,
      `1 copy on ${brokers} brokers: the loss of one loses records`,
      "Raise its replication with Kafka's kafka-reassign-partitions.sh; for a new platform: rates topics --replication 3",
    )
  } else if (replication > 2 && needed === 1) {
    findings.warning(
      name,
      `min.insync.replicas is 1: what a single broker has taken counts as safe`,
      configure(name, 'min.insync.replicas', 2),
    )
  }
}

function judgeKeeping(
  findings: Findings,
  topic: TopicFacts,
  { lane, queries }: { lane: boolean; queries: boolean },
  ledgerDays: number | undefined,
): void {
  const { name, config } = topic
  const kept = Number(config['retention.ms'] ?? -1)
  const cleanup = config['cleanup.policy'] ?? 'delete'
  if (cleanup.includes('compact')) {
    const remedy = configure(name, 'cleanup.policy', 'delete')
    findings.fault(
      name,
      `its cleanup.policy is ${printable(cleanup)}: it refuses records without a key, and drops others`,
      remedy,
    )
  }
  // Nobody waits for an answer for days.
  const wanted = queries ? DAY : WEEK
  if (kept >= 0 && kept < wanted) {
    const remedy = configure(name, 'retention.ms', wanted)
    const what = lane ? 'batches that wait longer than that are lost' : 'who is away longer than that misses them'
    const level = lane ? 'fault' : 'warning'
    findings[level](name, `records are kept for ${days(kept)}, not for ${plural(wanted / DAY, 'day')}: ${what}`, remedy)
  }
  if (lane && Number(config['retention.bytes'] ?? -1) >= 0) {
    const bytes = Number(config['retention.bytes'])
    findings.warning(
      name,
      `records are also deleted beyond ${megabytes(bytes)} a partition, whether they were read or not`,
      configure(name, 'retention.bytes', -1),
    )
  }
  if (lane && config['message.timestamp.type'] !== 'LogAppendTime') {
    const remedy = configure(name, 'message.timestamp.type', 'LogAppendTime')
    findings.fault(name, "records have their senders' times, on which time limits and rewinding must not run", remedy)
  }
  if (ledgerDays !== undefined && (kept < 0 || kept >= ledgerDays * DAY)) {
    const how = kept < 0 ? 'for ever' : `for ${days(kept)}`
    const remedy = `Make LEDGER_RETENTION_DAYS longer than that, or: ${configure(name, 'retention.ms', Math.max(WEEK, (ledgerDays - 1) * DAY))}`
    const what = `records are kept ${how}, the ledger for ${ledgerDays} d: what it has forgotten would be applied again`
    if (lane) findings.fault(name, what, remedy)
    else if (name.endsWith('dead-letters')) findings.warning(name, `${what} by sending a dead letter again`, remedy)
  }
}

/** A query is answered at once, or something is wrong. */
function judgeQueries(findings: Findings, { group, members, lag, old }: LaneFacts): void {
  const found = `${plural(members.length, 'member')}, ${plural(lag, 'query', 'queries')} behind`
  if (old > 0) {
    const remedy =
      members.length === 0
        ? 'No API answers them: does one run, with QUERIES=true, and does it reach Kafka (its log says so)?'
        : 'Look into the log of the API: it waits for PostgreSQL, Kafka, or the store of claims.'
    findings.fault(group, `${found}, ${count(old)} for more than a minute`, remedy)
  } else findings.ok(group, found)
}

/** Where no bucket is allowed nobody reads, and nothing need come. */
function judgeObjects(findings: Findings, { group, members, lag }: LaneFacts): void {
  const remedy = 'No worker reads them: set OBJECT_BUCKETS of the workers, and start them.'
  const found = `${plural(members.length, 'member')}, ${plural(lag, 'event')} behind`
  findings.judge(group, found, ['fault', members.length === 0 && lag > 0, remedy])
}

const days = (milliseconds: number): string =>
  milliseconds >= DAY ? `${Math.floor(milliseconds / DAY)} d` : duration(milliseconds / 1000)

function describeTopic({ partitions, replication, config }: TopicFacts): string {
  const kept = Number(config['retention.ms'] ?? -1)
  const copies = replication === 1 ? '1 copy' : `${replication} copies`
  return `${plural(partitions, 'partition')}, ${copies}, kept ${kept < 0 ? 'for ever' : `for ${days(kept)}`}`
}

function judgeLane(findings: Findings, { group, members, lag }: LaneFacts, partitions: number): void {
  const found = `${plural(members.length, 'member')}, ${plural(lag, 'record')} behind`
  findings.judge(
    group,
    found,
    [
      'fault',
      members.length === 0 && lag > 0,
      'No worker reads: start workers (npm start; on Kubernetes the deployment of ingest).',
    ],
    ['warning', members.length === 0, 'No worker reads: start workers before batches are sent.'],
    [
      'warning',
      members.length > partitions,
      `${members.length - partitions} of them have no partition: fewer workers do, or more partitions.`,
    ],
  )
}
