import { BATCH_ID } from '@rates/core/wire'

/** What may be said of a batch besides its prices; empty: nothing. */
export interface Fields {
  source: string
  id: string
  /** By the clock on the wall, as `datetime-local` has it. */
  deadline: string
  replaces: string
}

export const NO_FIELDS: Fields = { source: '', id: '', deadline: '', replaces: '' }

/** What is wrong with a field, by the rules of the wire. */
export function faultsOf(fields: Fields): Partial<Record<keyof Fields, string>> {
  const faults: Partial<Record<keyof Fields, string>> = {}
  for (const name of ['id', 'replaces'] as const) {
    if (fields[name] !== '' && !BATCH_ID.test(fields[name])) faults[name] = '1 to 128 of A-Z a-z 0-9 . _ : -'
  }
  if (fields.deadline !== '' && toUtc(fields.deadline) === null) faults.deadline = 'Not a time.'
  return faults
}

/** The parameters of `POST /batches` for an id. */
export function parametersOf({ source, deadline, replaces }: Fields, id: string, dryRun: boolean): string {
  const time = deadline === '' ? null : toUtc(deadline)
  const query = new URLSearchParams({ id })
  if (source !== '') query.set('source', source)
  if (time !== null) query.set('deadline', time)
  if (replaces !== '') query.set('replaces', replaces)
  if (dryRun) query.set('dryRun', 'true')
  return String(query)
}

/** `2026-11-21T08:00` here as a time of UTC. */
export function toUtc(local: string): string | null {
  const time = new Date(local)
  return Number.isNaN(time.getTime()) ? null : time.toISOString()
}

/** An id that nobody else has: `upload-20261121T080000-1a2b3c`. */
export function newId(now: number, random: Uint8Array): string {
  const time = new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
  return `upload-${time}-${[...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
