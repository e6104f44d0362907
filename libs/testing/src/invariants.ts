import { isDeepStrictEqual } from 'node:util'
import { type Reply } from '@rates/core/batch'
import { verify, type Fault } from '@rates/service/ledger/verify'
import { type TestBatch } from './batches.ts'
import { eventually } from './eventually.ts'
import { difference, remains } from './facts.ts'
import { type Line, type SeenReply } from './line.ts'
import { type Observation } from './observer.ts'
import { judgeTransitions, transitions } from './transitions.ts'
import { type Violation } from './violation.ts'

export type { Violation } from './violation.ts'

export type EndState = 'succeeded' | 'failed' | 'cancelled' | 'reverted' | 'replaced'

/** A batch that Kafka or the API has acknowledged, and what has to have become of it. */
export interface Sent {
  batch: TestBatch
  /** `succeeded` unless told; several where a race decides, and the last may be `forgotten`: the ledger need not have it. */
  state?: EndState | 'forgotten' | readonly (EndState | 'forgotten')[]
  /** The error's code, where it failed or was cancelled. */
  error?: string
  dryRun?: boolean
  /** The retention of prices has removed all of it. */
  trimmed?: boolean
  /** States of the replies that other requests under its id got beside the outcome's, such as `id_conflict`. */
  requests?: readonly string[]
  /** All replies that name it, repeats too, where it has a `reply-to` of its own. */
  replies?: readonly SeenReply[]
}

export interface CheckOptions {
  /** What a reader saw meanwhile: of observer.ts. */
  observation?: Observation
  /** Milliseconds that the workers have to come to an end (I6). */
  within?: number
  /** Whether what the view shows of a month is compared row by row, which takes a second for 100 000 of them. */
  compared?: (month: string) => boolean
}

/** What the ledger has of a batch. */
interface Row {
  no: number
  id: string
  dryRun: boolean
  state: EndState | 'open'
  accepted: number | null
  rejected: number | null
  chunks: number | null
  digest: string | null
  error: { code: string } | null
}

/** A reply as the outbox has it. */
interface Queued {
  id: string
  body: string
}

/**
 * Checks the invariants I1 to I6 of docs/architecture.md once everything has been sent, and all faults have healed:
 * waits for the backlog to be worked off, then compares what was sent with the ledger, the data (by the view and by
 * their digests), the transitions and the replies. An empty list says that they hold.
 */
export async function checkInvariants(
  line: Line,
  sent: readonly Sent[],
  { observation, within = 60_000, compared = () => true }: CheckOptions = {},
): Promise<Violation[]> {
  const left = await nothingRemains(line, within)
  const [rows, log, verification] = await Promise.all([
    ledgerOf(line),
    transitions(line.pool),
    verify(line.databaseUrl, 'all'),
  ])
  const judged = judgeTransitions(log)
  const violations: Violation[] = [...left, ...(observation?.violations ?? [])]
  violations.push(...verification.faults.map(ofVerification))
  violations.push(...judged.faults.map(({ id, message }) => ({ invariant: 'I4', batch: id, message }) as const))
  for (const each of sent) {
    const row = rows.find(({ id, dryRun }) => id === each.batch.id && dryRun === (each.dryRun ?? false))
    const tell = (invariant: Violation['invariant'], message: string): void =>
      void violations.push({ invariant, batch: each.batch.id, message })
    const outcome = row ? judged.outcomes.get(row.no) : log.findLast(({ id }) => id === each.batch.id)?.to
    checkOutcome(each, row, outcome, tell)
    if (row) checkApplied(each, row, tell)
    const replies = each.replies ?? (await line.replies(each.batch.id))
    checkReplies(each, row, outcome, replies, await queued(line, each.batch.id), tell)
  }
  const shown = sent.filter(({ batch }) => compared(batch.month))
  violations.push(...(await checkView(line, shown, rows)))
  return violations
}

/** @throws an error that tells each of them, if any does not hold */
export async function expectInvariants(line: Line, sent: readonly Sent[], options: CheckOptions = {}): Promise<void> {
  const violations = await checkInvariants(line, sent, options)
  if (violations.length === 0) return
  const told = violations
    .slice(0, 30)
    .map(({ invariant, batch, message }) => `  ${invariant} ${batch ?? '-'}: ${message}`)
  throw new Error(`${violations.length} violations of invariants:\n${told.join('\n')}`)
}

type Tell = (invariant: Violation['invariant'], message: string) => void

const statesOf = ({ state = 'succeeded' }: Sent): readonly string[] => (typeof state === 'string' ? [state] : state)

/** I1: it reached one terminal state, the right one. */
function checkOutcome(sent: Sent, row: Row | undefined, outcome: string | undefined, tell: Tell): void {
  const wanted = statesOf(sent)
  if (!row) {
    if (outcome === undefined) tell('I1', 'it was accepted, and the ledger does not know it')
    else if (!wanted.includes('forgotten')) tell('I1', `the ledger has forgotten it, ${outcome}`)
    return
  }
  if (row.state === 'open') tell('I1', 'it has not ended')
  else if (!wanted.includes(row.state)) tell('I1', `it is ${row.state} instead of ${wanted.join(' or ')}`)
  const code = row.error?.code
  if (sent.error !== undefined && code !== sent.error) tell('I1', `its error is ${code} instead of ${sent.error}`)
  if (
    sent.error === undefined &&
    row.error !== null &&
    wanted.every((state) => state !== 'failed' && state !== 'cancelled')
  ) {
    tell('I4', `it is ${row.state} with the error ${code}`)
  }
}

/** I2: the ledger counts what was sent, once. What is stored is compared with the ledger by its digest (verify). */
function checkApplied({ batch }: Sent, row: Row, tell: Tell): void {
  if (!['succeeded', 'reverted', 'replaced'].includes(row.state)) return
  if (row.accepted !== batch.lines.length)
    tell('I2', `${row.accepted} rows are accepted, ${batch.lines.length} were sent`)
  if (row.digest !== batch.digest) tell('I2', `its digest is ${row.digest}; what was sent has ${batch.digest}`)
}

/** I5: one distinct reply to each request; and I4: it says what the ledger says. */
function checkReplies(
  sent: Sent,
  row: Row | undefined,
  outcome: string | undefined,
  replies: readonly SeenReply[],
  outbox: readonly Queued[],
  tell: Tell,
): void {
  const { batch, dryRun = false, requests = [] } = sent
  const bytesOf = new Map<string, string>()
  for (const { id, bytes, reply } of replies) {
    if ((bytesOf.get(id) ?? bytes) !== bytes) tell('I5', `replies ${id} differ in their bytes`)
    bytesOf.set(id, bytes)
    if (reply.replyId !== id) tell('I5', `the reply ${id} calls itself ${reply.replyId}`)
  }
  for (const { id, body } of outbox) {
    if (!bytesOf.has(id)) tell('I5', `the reply ${id} stands in the outbox, and was never sent`)
    else if (bytesOf.get(id) !== body) tell('I5', `the reply ${id} was sent with other bytes than the outbox has`)
  }
  const distinct = [...bytesOf].map(([id, bytes]) => ({ id, reply: JSON.parse(bytes) as Reply }))
  const prefix = `${batch.id}/${dryRun ? 'dry-run/' : ''}`
  const own = distinct.filter(({ id }) => ['succeeded', 'failed', 'cancelled'].some((end) => id === prefix + end))
  const others = distinct.filter((each) => !own.includes(each) && each.reply.dryRun === dryRun)
  const states = others.map(({ reply }) => reply.state).sort()
  if (!isDeepStrictEqual(states, [...requests].sort())) {
    tell('I5', `other requests got ${states.join(', ') || 'no reply'} instead of ${requests.join(', ') || 'none'}`)
  }
  if (own.length > 1) tell('I5', `it has ${own.length} distinct replies: ${own.map(({ id }) => id).join(', ')}`)
  const [only] = own
  if (!only) {
    if (outcome !== undefined) tell('I5', `it is ${outcome}, and there is no reply`)
    return
  }
  if (outcome === undefined) tell('I4', `it has the reply ${only.id}, and no outcome`)
  else if (only.reply.state !== outcome || only.id !== prefix + outcome) {
    tell('I4', `its outcome is ${outcome}, its reply ${only.id} says ${only.reply.state}`)
  }
  if (row) compareReply(only.reply, row, tell)
}

function compareReply(reply: Reply, row: Row, tell: Tell): void {
  const pairs: [string, unknown, unknown][] = [
    ['rows', reply.rows, { accepted: row.accepted, rejected: row.rejected }],
    ['chunks', reply.chunks, row.chunks],
    ['digest', reply.digest, row.digest],
    ['error', reply.error, row.error],
    ['batchId', reply.batchId, row.id],
    ['number of errors', reply.errors.length, Math.min(20, row.rejected ?? 0)],
  ]
  for (const [what, told, known] of pairs) {
    if (isDeepStrictEqual(told, known)) continue
    tell('I4', `its reply has the ${what} ${JSON.stringify(told)}, the ledger ${JSON.stringify(known)}`)
  }
}

/** I2 and I4 as people see them: the view shows the rows of what succeeded, each as often as it was sent, and no others. */
async function checkView(line: Line, sent: readonly Sent[], rows: readonly Row[]): Promise<Violation[]> {
  const violations: Violation[] = []
  const visible = new Set(rows.filter(({ state, dryRun }) => state === 'succeeded' && !dryRun).map(({ id }) => id))
  for (const [month, together] of Map.groupBy(sent, ({ batch }) => batch.month)) {
    const batches = new Map(
      together.filter(({ dryRun, trimmed }) => !dryRun && !trimmed).map(({ batch }) => [batch.id, batch]),
    )
    const expected = [...batches.values()].filter(({ id }) => visible.has(id)).flatMap(({ lines }) => lines)
    const seen = await line.pool.query<{ line: string }>(
      `select orig_code || ',' || dest_code || ',' || day || ',' || price as line from prices
       where day >= $1 and day < $1::date + interval '1 month'`,
      [`${month}-01`],
    )
    const shown = difference(
      expected,
      seen.rows.map((row) => row.line),
    )
    if (shown === undefined) continue
    const batch = together.length === 1 ? together[0]!.batch.id : null
    violations.push({ invariant: 'I2', batch, message: `readers see in ${month} ${shown}` })
  }
  return violations
}

/** I6: once everything has ended nothing is left of it. */
async function nothingRemains(line: Line, within: number): Promise<Violation[]> {
  let left: Record<string, number> = {}
  const settled = async (): Promise<boolean> => {
    left = await remains(line)
    return Object.values(left).every((count) => count === 0)
  }
  await eventually(settled, { within }).catch((error: Error) => {
    if (error.cause) throw error
  })
  return Object.entries(left)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => ({ invariant: 'I6', batch: null, message: `${count} left of: ${what}` }) as const)
}

function ofVerification({ kind, batchId, batchNo, message }: Fault): Violation {
  const agreement = ['not_hidden', 'hidden', 'merged_hidden', 'replacement']
  const orphans = ['not_purged', 'dry_run_stored', 'orphan_packs', 'orphan_hidden']
  const invariant = orphans.includes(kind) ? 'I6' : agreement.includes(kind) ? 'I4' : 'I2'
  return { invariant, batch: batchId ?? `no. ${batchNo}`, message: `${kind}: ${message}` }
}

async function ledgerOf({ pool }: Line): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `select no::float8 as no, id, dry_run as "dryRun", state, rows_accepted::float8 as accepted,
       rows_rejected::float8 as rejected, chunks_expected as chunks, encode(digest, 'hex') as digest, error from batches`,
  )
  return rows
}

async function queued({ pool }: Line, batchId: string): Promise<Queued[]> {
  const { rows } = await pool.query<Queued>('select reply_id as id, body from outbox where batch_id = $1', [batchId])
  return rows
}
