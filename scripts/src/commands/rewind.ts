import { type KafkaSettings } from '@rates/service/kafka'
import { type Admin, type GroupMember } from '@rates/service/kafka-admin'
import { GroupInUse, setOffsets } from '@rates/service/kafka-offsets'
import { groupNames, topicNames } from '@rates/service/topics'
import { Command } from 'commander'
import { explainKafka, kafkaSettings, requireBrokers, withAdmin } from '../brokers.ts'
import { confirm } from '../confirm.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { explainPostgres } from '../explain-postgres.ts'
import { readLastStored, type LedgerEnds } from '../last-stored.ts'
import {
  changesOf,
  describePlan,
  planRewind,
  recordsAgain,
  summarizePlan,
  warningsOf,
  type LanePlan,
} from '../rewind.ts'
import { findRunning } from '../running.ts'
import { plural, printable, table } from '../text.ts'
import { parsePast } from '../times.ts'
import { compareTold } from '../told.ts'

interface Options {
  to: string
  check?: boolean
  dryRun?: boolean
  yes?: boolean
  json?: boolean
}

const HELP = `
For after a restore: a database that came back from a backup is behind what Kafka says was read. This sets the workers'
offsets back to the first record at or after TIME, on every partition of both lanes and of the objects' events, never
forward. Take a time before the backup was begun: what the ledger has already is a no-op when it comes again. Queries
are not answered again: whoever asked has heard or given up, and what has no answer yet gets its own.

Workers must not run meanwhile. docs/operations.md has all steps.

With --check it sets nothing, and compares the outcomes that senders were told since TIME (on the topic of replies) with
the ledger: for when the workers have read everything again.

Exit codes: 0 set back, or nothing to do; 1 refused: workers run, or the answer was no; with --check: outcomes differ;
2 wrong usage; 3 Kafka or, with --check, PostgreSQL cannot be reached; 130 Ctrl-C at the question, nothing was changed.

Examples:
  rates rewind --to 2026-11-21T03:00:00Z --dry-run
  rates rewind --to 6h --yes
  rates rewind --to 6h --check`

export function rewindCommand(): Command {
  const command = new Command('rewind')
    .description('let the workers read again what came since a time, after a restore of the database')
    .requiredOption('--to <time>', '2026-01-31T08:00:00Z, or before now: 30m, 2h, 1d')
    .option('--dry-run', 'show what would be set, and set nothing')
    .option('--check', 'compare the outcomes that were told since with the ledger')
    .option('--yes', 'do not ask')
    .option('--json', 'print the plan as JSON')
    .addHelpText('after', HELP)
    .action((options: Options) => exitWith(() => run(options)))
  return usageExits(command)
}

async function run(options: Options): Promise<number> {
  const now = new Date()
  const time = parsePast(options.to, now)
  if (time === undefined || time < 0) {
    const what = JSON.stringify(options.to)
    throw new CommandFailure(
      EXIT.usage,
      `--to: ${what} is neither a time as 2026-01-31T08:00:00Z nor one before now as 2h`,
    )
  }
  if (time > now.getTime()) throw new CommandFailure(EXIT.usage, `--to: ${options.to} is in the future`)
  const found = await findRunning('brokers')
  const brokers = found.brokers.split(',')
  await requireBrokers(brokers)
  const kafka = kafkaSettings(brokers, 'rates-rewind')
  try {
    if (options.check) return await withAdmin(kafka, (admin) => check(admin, kafka, found.prefix, time, options))
    return await withAdmin(kafka, (admin) => rewind(admin, kafka, found.prefix, time, options))
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    if (error instanceof GroupInUse) throw inUse([])
    throw explainKafka(error, brokers) ?? error
  }
}

async function rewind(
  admin: Admin,
  kafka: KafkaSettings,
  prefix: string,
  time: number,
  options: Options,
): Promise<number> {
  const { dryRun = false, yes = false, json = false } = options
  const ledger = await readLastStored(prefix)
  const { lanes, members } = await look(admin, prefix, time, ledger)
  const warnings = warningsOf(lanes, time)
  if ('fault' in ledger) warnings.push(`The ledger was not asked what it has: ${ledger.fault}`)
  const say = json ? () => undefined : (text: string) => console.log(text)
  for (const line of [...describePlan(lanes), summarizePlan(lanes, time)]) say(line)
  for (const warning of warnings) console.error(`warning: ${warning}`)
  const tell = (applied: boolean): void => {
    if (json) console.log(JSON.stringify(asJson(lanes, time, applied, warnings)))
  }
  if (dryRun || recordsAgain(lanes) === 0) {
    tell(false)
    if (dryRun && members.length > 0) console.error(`warning: ${inUse(members).message}`)
    return EXIT.done
  }
  if (members.length > 0) throw inUse(members)
  if (!(await confirm('Set them back?', yes))) throw new CommandFailure(EXIT.refused, 'Nothing was changed.')
  for (const lane of lanes) {
    const changes = changesOf(lane)
    if (changes.size > 0) await setOffsets(kafka, lane.group, lane.topic, changes)
  }
  tell(true)
  say('They are set back. Start the workers now; "rates status" shows how far they are.')
  return EXIT.done
}

/** Whether what senders were told is true again. */
async function check(
  admin: Admin,
  kafka: KafkaSettings,
  prefix: string,
  time: number,
  { json = false }: Options,
): Promise<number> {
  const { databaseUrl } = await findRunning('databaseUrl')
  const { replies } = topicNames(prefix)
  const { compared, untrue } = await compareTold(kafka, admin, replies, time, databaseUrl).catch((error: unknown) => {
    throw explainPostgres(error) ?? error
  })
  if (json) console.log(JSON.stringify({ compared, untrue }))
  else {
    const rows = untrue.map(({ batchId, dryRun, told, state }) => [
      printable(batchId, 128) + (dryRun ? ' (dry run)' : ''),
      told,
      state ?? 'not there',
    ])
    if (rows.length > 0)
      console.log(table([{ title: 'batch' }, { title: 'was told' }, { title: 'is' }], rows).join('\n'))
    console.log(`${plural(compared, 'outcome')} compared, ${untrue.length} differ.`)
    if (rows.length > 0) console.log('docs/operations.md, "After a restore", says how that may be and what to do.')
  }
  return untrue.length === 0 ? EXIT.done : EXIT.refused
}

async function look(
  admin: Admin,
  prefix: string,
  time: number,
  ledger: LedgerEnds,
): Promise<{ lanes: LanePlan[]; members: GroupMember[] }> {
  const topics = topicNames(prefix)
  const groups = groupNames(prefix)
  const there = new Set(await admin.topics())
  const lanes: LanePlan[] = []
  const members: GroupMember[] = []
  for (const [topic, group] of [
    [topics.batches, groups.batches],
    [topics.bulk, groups.bulk],
    [topics.objects, groups.objects],
  ] as const) {
    // A platform that has not been given it has had no events.
    if (topic === topics.objects && !there.has(topic)) continue
    if (!there.has(topic))
      throw new CommandFailure(EXIT.unreachable, `Kafka has no topic ${topic}: "rates topics" creates it.`)
    const [{ members: found }, progress, at, { config }] = await Promise.all([
      admin.group(group),
      admin.progress(group, topic),
      admin.offsetsAt(topic, time),
      admin.describeTopic(topic),
    ])
    members.push(...found)
    const kept = Number(config['retention.ms'] ?? -1)
    const retention = kept < 0 ? Infinity : kept
    // Events leave no place in the ledger: their objects do.
    const unknown = 'fault' in ledger || topic === topics.objects
    const stored = unknown ? undefined : (ledger.lanes.get(topic) ?? new Map())
    lanes.push(planRewind({ topic, group, progress, at, ledger: stored, retention }, time, Date.now()))
  }
  return { lanes, members }
}

function inUse(members: readonly GroupMember[]): CommandFailure {
  const names = [...new Set(members.map(({ client, host }) => `${printable(client)} (${host})`))]
  const who = names.length === 0 ? 'Workers' : plural(names.length, 'worker')
  return new CommandFailure(
    EXIT.refused,
    [
      `${who} would set the offsets forward again${names.length === 0 ? '' : `: ${names.join(', ')}`}. Stop them first:`,
      '  of npm start: Ctrl-C there, then "npm start -- --workers 0", which runs all the rest;',
      '  on Kubernetes: scale the deployment of ingest to 0.',
      'One that was killed counts as long as its session lasts (SESSION_SECONDS, 10 s).',
    ].join('\n'),
  )
}

function asJson(lanes: readonly LanePlan[], time: number, applied: boolean, warnings: readonly string[]): object {
  const number = (offset: bigint | null): number | null => (offset === null ? null : Number(offset))
  return {
    to: new Date(time).toISOString(),
    applied,
    records: recordsAgain(lanes),
    lanes: lanes.map(({ topic, group, partitions }) => ({
      topic,
      group,
      partitions: partitions.map(({ partition, from, to, again, lost, unread }) => ({
        partition,
        from: number(from),
        to: number(to),
        again: Number(again),
        lost,
        unread: Number(unread),
      })),
    })),
    warnings,
  }
}
