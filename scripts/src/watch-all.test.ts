import { afterEach, describe, expect, it } from '@jest/globals'
import { PassThrough } from 'node:stream'
import { type Batch } from '@rates/core/batch'
import { Board, type Output } from './watch-all.ts'

const batch = (id: string, state: Batch['state'], more: Partial<Batch> = {}): Batch =>
  ({
    id,
    state,
    source: null,
    replaces: null,
    replacedBy: null,
    retryOf: null,
    dryRun: false,
    chunks: { done: 1, expected: null },
    rows: { accepted: 10, rejected: 0, expected: null },
    progress: null,
    rowsPerSecond: null,
    etaAt: null,
    deadline: null,
    slackSeconds: null,
    createdAt: '2026-01-31T08:00:00.000Z',
    finishedAt: state === 'pending' || state === 'in_progress' ? null : '2026-01-31T08:00:01.000Z',
    hiddenAt: null,
    error: null,
    ...more,
  }) as Batch

let board: Board
afterEach(() => board.close())

function collect(live?: Output['live'], json = false): { lines: string[]; notes: string[] } {
  const told = { lines: [] as string[], notes: [] as string[] }
  board = new Board({ line: (text) => told.lines.push(text), note: (text) => told.notes.push(text), live }, json)
  return told
}

describe('Board', () => {
  it('tells what loads when it begins, and then each change once, also over a break', () => {
    const { lines, notes } = collect()
    const first = [batch('old', 'succeeded'), batch('going', 'in_progress')]
    for (const each of first) board.take(each)
    board.ready()
    expect(lines).toEqual(['08:00:00Z  opened     going'])
    expect(notes).toEqual([])
    board.take(batch('going', 'in_progress'))
    board.take(batch('new', 'pending'))
    // The connection breaks: all is told once more, and what came meanwhile.
    for (const each of [...first, batch('new', 'in_progress'), batch('missed', 'cancelled')]) board.take(each)
    board.ready()
    board.take(batch('old', 'reverted'))
    expect(lines.slice(1)).toEqual([
      '08:00:00Z  opened     new',
      '08:00:01Z  cancelled  missed  no reason is given, 1.0 s',
      '08:00:00Z  reverted   old  10 rows are hidden',
    ])
  })

  it('knows what ended during a break and is no longer among the newest', () => {
    const { lines } = collect()
    board.connected()
    for (const id of ['ended', 'purged', 'going', 'unknown']) board.take(batch(id, 'in_progress'))
    board.ready()
    expect(board.untold()).toEqual([])
    board.connected()
    board.take(batch('going', 'in_progress'))
    const [ended, purged, unknown] = board.untold()
    expect([ended, purged, unknown].map((each) => each!.id)).toEqual(['ended', 'purged', 'unknown'])
    board.found(ended!, batch('ended', 'succeeded'))
    board.found(purged!, 'gone')
    board.found(unknown!, 'unknown')
    expect(lines.slice(4)).toEqual(['08:00:01Z  succeeded  ended  10 rows in 1 chunk, 1.0 s'])
    // It is asked for once more.
    board.connected()
    expect(new Set(board.untold().map(({ id }) => id))).toEqual(new Set(['going', 'unknown']))
  })

  it('tells each batch as JSON, and that nothing loads only if nothing does', () => {
    const { lines, notes } = collect(undefined, true)
    const going = batch('going', 'in_progress')
    board.take(going)
    board.ready()
    expect([lines, notes]).toEqual([[JSON.stringify(going)], []])
  })

  it('says so when nothing loads', () => {
    const { lines, notes } = collect()
    board.take(batch('old', 'failed'))
    board.ready()
    expect([lines, notes]).toEqual([[], ['Nothing is loading now; what comes is told.']])
  })

  it('tells a batch and the dry run of its id apart', () => {
    const { lines } = collect()
    board.ready()
    board.take(batch('a', 'pending'))
    board.take(batch('a', 'succeeded', { dryRun: true }))
    expect(lines).toEqual(['08:00:00Z  opened     a', '08:00:01Z  succeeded  a (dry run)  10 rows in 1 chunk, 1.0 s'])
  })

  it('forgets ended batches, and no others', () => {
    const { lines } = collect()
    board.ready()
    board.take(batch('going', 'in_progress'))
    for (let i = 0; i < 10_000; i++) board.take(batch(`b-${i}`, 'succeeded'))
    const before = lines.length
    board.take(batch('going', 'in_progress'))
    board.take(batch('b-9999', 'succeeded'))
    expect(lines).toHaveLength(before)
    board.take(batch('b-0', 'succeeded')) // forgotten, and told again
    expect(lines).toHaveLength(before + 1)
  })

  it('keeps those that load below the lines in a terminal, and takes them away in the end', () => {
    const terminal = Object.assign(new PassThrough(), { columns: 40, rows: 24 })
    const written = (): string => (terminal.read() as Buffer | null)?.toString() ?? ''
    collect(terminal)
    board.take(batch('going', 'in_progress', { id: 'g'.repeat(60) }))
    board.ready()
    expect(written()).toBe(`${'g'.repeat(39)}\n`) // a wrapped line could not be redrawn
    board.take(batch('new', 'succeeded'))
    expect(written()).toBe('\x1b[1A\r\x1b[J08:00:01Z  succeeded  new  10 rows in 1 chunk, 1.0 s\n')
    board.ready()
    written()
    board.close()
    expect(written()).toBe('\x1b[1A\r\x1b[J')
  })
})
