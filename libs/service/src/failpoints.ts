/**
 * Places where a test lets a process die as by kill -9, in the order of a batch's life. A place is named by the step
 * around it: `before-…` has done nothing of it yet, `inside-…` is right before its COMMIT, `after-…` right behind it.
 * The list is closed, and a test kills at each of them (test/e2e/src/kill-everywhere.e2e.test.ts).
 */
export const FAILPOINTS = [
  // a record
  'took-record',
  'parsed',
  'handled-record', // its offset is not committed yet
  // a batch of one record
  'before-small',
  'inside-small',
  'after-small',
  // a chunk
  'opened-batch',
  'before-chunk',
  'inside-chunk',
  'after-chunk',
  // publication
  'before-publish',
  'inside-publish',
  'inside-replace', // the replaced batch is hidden, its state is the old one
  'after-publish',
  // an end that is none of its chunks' doing: cancelled, late, incomplete
  'before-end',
  'inside-end',
  'after-end',
  // reverting
  'before-revert',
  'inside-revert',
  'after-revert',
  // what is no part of a batch
  'refused-record', // the refusal is in the outbox, the dead letter is not sent
  // replies
  'before-relay',
  'relayed', // acknowledged by Kafka, not noted as sent
  'after-relay',
  'before-webhook',
  'webhook-taken', // by its receiver, not noted as sent
  // merging of small packs
  'before-merge',
  'inside-merge',
  'after-merge',
  'inside-take-out',
  // removing what ended batches left, and what is older than it is to be kept
  'before-purge',
  'inside-purge',
  'after-purge',
  'before-trim',
  'inside-trim',
  'after-trim',
  'inside-forget',
  // an upload, or running a batch again
  'opened-upload',
  'sent-chunk',
  'sent-upload',
  // a query by message
  'took-query',
  'noted-answer', // the answer stands in PostgreSQL, it is not sent
  'sent-answer', // acknowledged by Kafka, the query's offset is not committed
  // a file of an object store
  'noted-object', // its row is there, the record's offset is not committed
  'took-object', // by a loader's lease
  'sent-object-chunk',
  'sent-object', // all chunks are acknowledged, the row does not say so
  'before-tag',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

/** Passes that are left at each armed failpoint. Empty, as always outside tests: a pass costs one look-up. */
const armed = new Map<string, number>()

/**
 * Reads the setting: `before-publish` dies at the first pass, `after-chunk@3` at the third; several are separated by
 * commas. @throws RangeError that names what is wrong
 */
export function readFailpoints(setting: string): Map<Failpoint, number> {
  const read = new Map<Failpoint, number>()
  for (const each of setting.split(',').filter((text) => text !== '')) {
    const [, name, pass = '1'] = /^([^@]+)(?:@([1-9]\d{0,8}))?$/.exec(each) ?? []
    const known = FAILPOINTS.find((failpoint) => failpoint === name)
    if (known === undefined) throw new RangeError(`names no failpoint with ${JSON.stringify(each)}`)
    read.set(known, Number(pass))
  }
  return read
}

/** Called once by a process's main. */
export function armFailpoints(setting: ReadonlyMap<Failpoint, number>): void {
  for (const [name, pass] of setting) armed.set(name, pass)
}

export function failpoint(name: Failpoint): void {
  const left = armed.get(name)
  if (left === undefined) return
  armed.set(name, left - 1)
  if (left === 1) process.kill(process.pid, 'SIGKILL')
}
