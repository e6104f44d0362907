import { describe, expect, it } from '@jest/globals'
import { shownBatch } from '@rates/testing/shown-batch'
import {
  NOTHING,
  unsureId,
  uploadReducer,
  type Step,
  type UploadEvent,
  type UploadState,
  type Work,
} from './machine.ts'

const file = { name: 'a.csv', bytes: 100, kind: { format: 'csv', encoding: 'identity' } } as const
const start = (step: Step, id = 'x'): UploadEvent => ({ type: 'started', step, file, id, now: 5 })
const dry = (state: 'in_progress' | 'succeeded' | 'failed' | 'cancelled', id = 'x') =>
  shownBatch(id, { state, dryRun: true })
/** The service has not read all of it. */
const partly = (batch: ReturnType<typeof dry>) => ({ ...batch, chunks: { done: 1, expected: null } })
const seen = (batch: ReturnType<typeof shownBatch>): UploadEvent => ({ type: 'seen', batch })
const lost: UploadEvent = { type: 'failed', fault: { message: 'lost', unknown: true } }
const refused: UploadEvent = { type: 'failed', fault: { message: 'too large' } }

const after = (...events: UploadEvent[]): UploadState => events.reduce(uploadReducer, NOTHING)
const workAfter = (...events: UploadEvent[]): Work => after(...events).work

describe('an upload', () => {
  it('is sent, followed and ended, and then begins again as a load', () => {
    const events = [start('check'), { type: 'sent', bytes: 60 }, { type: 'accepted' }, seen(dry('succeeded'))] as const
    expect(events.map((_, i) => workAfter(...events.slice(0, i + 1)))).toEqual([
      { at: 'sending', step: 'check', file, id: 'x', sent: 0, since: 5, batch: null },
      { at: 'sending', step: 'check', file, id: 'x', sent: 60, since: 5, batch: null },
      { at: 'following', step: 'check', file, id: 'x', batch: null, cancelling: false },
      { at: 'ended', step: 'check', file, id: 'x', batch: dry('succeeded') },
    ])
    expect(workAfter(...events, start('load', 'y'))).toMatchObject({ at: 'sending', step: 'load', id: 'y', sent: 0 })
  })

  it('shows its batch while it is sent, and waits for the answer even if the batch has ended', () => {
    expect(workAfter(start('check'), seen(dry('in_progress')))).toMatchObject({
      at: 'sending',
      batch: dry('in_progress'),
    })
    expect(workAfter(start('check'), seen(dry('failed')))).toMatchObject({ at: 'sending' })
    expect(workAfter(start('check'), seen(dry('failed')), { type: 'accepted' })).toMatchObject({ at: 'ended' })
    expect(workAfter(start('check'), seen(dry('in_progress')), { type: 'accepted' })).toMatchObject({
      at: 'following',
      batch: dry('in_progress'),
    })
  })

  it('does not take another batch for its own', () => {
    const following = [start('check'), { type: 'accepted' }] as const
    expect(workAfter(...following, seen(shownBatch('x')))).toEqual(workAfter(...following)) // the real one of the same id
    expect(workAfter(...following, seen(dry('succeeded', 'y')))).toEqual(workAfter(...following))
    expect(workAfter(seen(dry('succeeded')))).toEqual({ at: 'empty' })
  })

  it('is one at a time', () => {
    expect(workAfter(start('check'), start('check', 'y'))).toMatchObject({ id: 'x' })
    expect(workAfter(start('check'), { type: 'accepted' }, start('load', 'y'))).toMatchObject({
      id: 'x',
      at: 'following',
    })
    expect(workAfter(start('check'), { type: 'cleared' })).toMatchObject({ at: 'sending' })
  })

  it('stops where it fails, and may begin again', () => {
    expect(workAfter(start('load'), refused)).toEqual({
      at: 'stopped',
      step: 'load',
      file,
      id: 'x',
      fault: { message: 'too large' },
    })
    expect(workAfter(start('load'), refused, start('load', 'y'))).toMatchObject({ at: 'sending', id: 'y' })
    expect(workAfter(start('load'), refused, { type: 'cleared' })).toEqual({ at: 'empty' })
  })

  it('without an answer is what its batch says', () => {
    const stopped = [start('check'), lost] as const
    expect(workAfter(...stopped, seen(partly(dry('in_progress'))))).toEqual(workAfter(...stopped))
    // The service cancels what broke: then all is known.
    expect(workAfter(...stopped, seen(partly(dry('cancelled'))))).toEqual({
      ...workAfter(...stopped),
      fault: { message: 'lost' },
    })
    expect(workAfter(...stopped, seen(dry('succeeded')))).toMatchObject({ at: 'ended', batch: dry('succeeded') })
    expect(workAfter(start('check'), seen(dry('succeeded')), lost)).toMatchObject({ at: 'ended' }) // told before
    expect(workAfter(start('check'), seen(partly(dry('in_progress'))), lost)).toEqual(workAfter(...stopped))
    expect(workAfter(start('check'), refused, seen(dry('succeeded')))).toMatchObject({ at: 'stopped' })
  })

  it('without an answer is followed once its batch knows how many chunks it has: the service has all of it', () => {
    const following = { at: 'following', step: 'check', file, id: 'x', batch: dry('in_progress'), cancelling: false }
    expect(workAfter(start('check'), lost, seen(dry('in_progress')))).toEqual(following)
    expect(workAfter(start('check'), seen(dry('in_progress')), lost)).toEqual(following)
    expect(workAfter(start('check'), refused, seen(dry('in_progress')))).toMatchObject({ at: 'stopped' })
  })

  it('ends where the batch that is in its way is its own, and is cancelled', () => {
    const unsure: UploadEvent = { type: 'failed', fault: { message: 'open', batch: 'x', unknown: true } }
    expect(workAfter(start('check'), unsure, seen(dry('cancelled')))).toMatchObject({ at: 'ended' })
  })

  it('is loaded again under its id while nobody knows what became of it', () => {
    const again = (...events: UploadEvent[]): string | undefined => unsureId(workAfter(...events), 'load', '')
    expect(again(start('load'), lost)).toBe('x')
    expect(unsureId(workAfter(start('load'), lost), 'load', 'x')).toBe('x')
    expect(unsureId(workAfter(start('load'), lost), 'load', 'y')).toBeUndefined() // another one was typed since
    expect(again(start('load'), lost, seen(shownBatch('x', { state: 'cancelled' })))).toBeUndefined()
    expect(again(start('load'), refused)).toBeUndefined()
    expect(again(start('check'), lost)).toBeUndefined()
    expect(unsureId(workAfter(start('load'), lost), 'check', '')).toBeUndefined()
  })

  it('that is cancelled goes on until it has ended', () => {
    const events = [start('check'), { type: 'accepted' }, { type: 'cancelling' }] as const
    expect(workAfter(...events)).toMatchObject({ at: 'following', cancelling: true })
    expect(workAfter(...events, seen(dry('in_progress')))).toMatchObject({ at: 'following', cancelling: true })
    expect(workAfter(...events, seen(dry('succeeded')))).toMatchObject({ at: 'ended' }) // it was faster
    expect(workAfter(start('check'), { type: 'cancelling' })).toMatchObject({ at: 'sending' })
  })

  it('may be cancelled again where that was refused', () => {
    const events = [start('check'), { type: 'accepted' }, { type: 'cancelling' }] as const
    const kept: UploadEvent = { type: 'uncancelled', why: 'away' }
    expect(after(...events, kept)).toMatchObject({ refusal: 'away', work: { at: 'following', cancelling: false } })
    expect(after(...events, { type: 'refused', why: 'no' })).toMatchObject({ work: { cancelling: true } })
    expect(after(...events, seen(dry('failed')), kept)).toMatchObject({ refusal: 'away', work: { at: 'ended' } })
  })

  it('shows why another file was not taken until one is', () => {
    const why: UploadEvent = { type: 'refused', why: 'no' }
    expect(after(start('check'), why)).toMatchObject({ refusal: 'no', work: { at: 'sending' } })
    expect(after(start('check'), why, { type: 'sent', bytes: 1 }).refusal).toBe('no')
    expect(after(why, start('check')).refusal).toBeNull()
    expect(after(why, { type: 'cleared' })).toEqual(NOTHING)
  })

  it('ignores what comes too late', () => {
    const ended = [start('check'), { type: 'accepted' }, seen(dry('failed'))] as const
    for (const late of [{ type: 'sent', bytes: 5 }, { type: 'accepted' }, refused, { type: 'cancelling' }] as const) {
      expect(workAfter(...ended, late)).toEqual(workAfter(...ended))
    }
  })
})
