import { count, duration } from '../progress.ts'
import { plural, printable } from '../text.ts'
import { Findings, type Finding } from './finding.ts'
import { type LedgerFacts, type ObjectFacts, type PostgresFacts } from './postgres-facts.ts'

export const POSTGRES = 'PostgreSQL'
const OLDEST = 130_005
/** Readers go through the hidden batches at each read: docs/architecture.md. */
const MANY_HIDDEN = 200
const CLOCK_MILLISECONDS = 1_000

const setting = (name: string, value: string): string =>
  `alter system set ${name} = '${value}'; select pg_reload_conf();   (as superuser, in psql)`

/** What is right and wrong with a PostgreSQL; reads nothing but the facts. */
export function judgePostgres(facts: PostgresFacts): Finding[] {
  const findings = new Findings(POSTGRES)
  const { settings } = facts
  findings.judge('version', facts.version, [
    'fault',
    facts.versionNumber < OLDEST,
    'It has to be 13.5 or newer: upgrade it.',
  ])
  findings.judge('writable', facts.inRecovery ? 'it is a standby and takes no writes' : 'it takes writes', [
    'fault',
    facts.inRecovery,
    'Let DATABASE_URL name the primary.',
  ])
  judgeMigrations(findings, facts.pending)
  for (const name of ['fsync', 'full_page_writes'] as const) {
    const remedy = `A crash of its machine may lose or damage what was told to be there: ${setting(name, 'on')}`
    findings.judge(name, settings[name], ['fault', settings[name] === 'off', remedy])
  }
  findings.judge('synchronous_commit', settings.synchronous_commit, [
    'fault',
    settings.synchronous_commit === 'off',
    `A crash may take back outcomes that senders were told: ${setting('synchronous_commit', 'on')}`,
  ])
  findings.judge('autovacuum', settings.autovacuum, [
    'fault',
    settings.autovacuum === 'off',
    `Reads slow down by dead rows: ${setting('autovacuum', 'on')}`,
  ])
  findings.judge('encoding', settings.server_encoding, [
    'fault',
    settings.server_encoding !== 'UTF8',
    'The platform stores UTF-8: create the database anew with encoding UTF8.',
  ])
  const free = facts.maxConnections - facts.connections
  const more = 'Raise max_connections, or lower DATABASE_POOL of the services.'
  findings.judge(
    'connections',
    `${facts.connections} of ${facts.maxConnections} in use`,
    ['fault', free <= 2, more],
    ['warning', free < facts.maxConnections / 5, more],
  )
  const clock = Math.abs(facts.clockAhead)
  findings.judge('clock', `${describeClock(facts.clockAhead, facts.clockError)} this machine's`, [
    'warning',
    clock - facts.clockError > CLOCK_MILLISECONDS,
    'Times in batches and deadlines go by these clocks: let both follow NTP.',
  ])
  judgeIdle(findings, facts.idle)
  if (facts.ledger) judgeLedger(findings, facts, facts.ledger)
  return findings.all
}

function judgeMigrations(findings: Findings, pending: PostgresFacts['pending']): void {
  if (!Array.isArray(pending)) return findings.fault('schema', pending.fault, 'See docs/operations.md, "The schema".')
  const found = pending.length === 0 ? 'up to date' : `not applied: ${pending.join(', ')}`
  const remedy = 'DATABASE_URL=... node db/dist/main.js   (npm start does it, too)'
  findings.judge('schema', found, ['fault', pending.length > 0, remedy])
}

function describeClock(ahead: number, error: number): string {
  const milliseconds = Math.round(Math.abs(ahead))
  if (milliseconds <= error) return 'the same as'
  return `${milliseconds} ms ${ahead > 0 ? 'behind' : 'ahead of'}`
}

function judgeIdle(findings: Findings, idle: PostgresFacts['idle']): void {
  const first = idle[0]
  if (!first) return findings.ok('transactions', 'none is left open')
  const who = idle.map(
    ({ pid, name, seconds }) => `${printable(name || 'nameless')} (process ${pid}, ${duration(seconds)})`,
  )
  const remedy = `They keep dead rows from being removed: select pg_terminate_backend(${first.pid});`
  findings.warning('transactions', `left open and idle: ${who.join(', ')}`, remedy)
}

function judgeLedger(findings: Findings, { role, superuser }: PostgresFacts, ledger: LedgerFacts): void {
  const { forbidden, oldestOpen, oldestUnsent, shortestTrip } = ledger
  if (forbidden.length > 0) {
    const [privilege, , table] = forbidden[0]!.split(' ')
    const others = forbidden.length > 1 ? `   (and the others)` : ''
    findings.fault(
      'role',
      `${role} may not: ${forbidden.join(', ')}`,
      `grant ${privilege} on ${table} to "${role}";${others}`,
    )
  } else findings.ok('role', `${role}${superuser ? ', a superuser' : ''}: may do what the services do`)
  findings.judge('hidden batches', String(ledger.hidden), [
    'warning',
    ledger.hidden >= MANY_HIDDEN,
    'Reads grow slower with each. Are workers running that purge them? "rates list --state pending,in_progress" shows the open ones.',
  ])
  const open =
    oldestOpen === null
      ? 'none'
      : `${ledger.open}, the oldest ${printable(ledger.oldestOpenId ?? '')} since ${duration(oldestOpen)}`
  findings.judge('open batches', open, [
    'warning',
    oldestOpen !== null && oldestOpen > 3600,
    `It waits for chunks or for workers: rates show ${printable(ledger.oldestOpenId ?? '', 128)}`,
  ])
  const unsent =
    oldestUnsent === null
      ? 'none is waiting'
      : `${count(ledger.unsent)} waiting, the oldest for ${duration(oldestUnsent)}`
  findings.judge('replies', unsent, [
    'fault',
    oldestUnsent !== null && oldestUnsent > 60,
    'No worker sends them: are workers running, and is the topic of replies there (rates topics)?',
  ])
  judgeObjects(findings, ledger.objects)
  if (ledger.suspects > 0) {
    findings.warning(
      'workers that died',
      `${plural(ledger.suspects, 'record')} in flight when a worker died, and not handled since`,
      'Look into the logs of the workers; the third death sets a record aside by itself.',
    )
  }
  if (shortestTrip !== null && shortestTrip < -CLOCK_MILLISECONDS / 1000) {
    findings.warning(
      "Kafka's clock",
      `chunks were stored ${duration(-shortestTrip)} before they came: Kafka's clock is ahead of PostgreSQL's`,
      "Time limits of batches run on Kafka's clock: let both follow NTP.",
    )
  }
}

function judgeObjects(findings: Findings, { stuck, stuckName, stuckNote, refused }: ObjectFacts): void {
  if (refused !== null) {
    findings.fault(
      'object store',
      `it refuses the workers' credentials since ${duration(refused)}`,
      'Mend S3_ACCESS_KEY_ID_FILE and S3_SECRET_ACCESS_KEY_FILE of the workers, or what the store allows them:\nthey try again by themselves until OBJECT_REFUSED_SECONDS are over.',
    )
  } else if (stuck > 0) {
    const first = `the first ${printable(stuckName ?? '', 128)}: ${printable(stuckNote ?? '', 200)}`
    const remedy = 'Does the object store answer the workers (S3_ENDPOINT)? Their logs say more.'
    findings.warning('object store', `${plural(stuck, 'object')} waiting for 10 min or more, ${first}`, remedy)
  } else findings.ok('object store', 'no object is kept waiting')
}
