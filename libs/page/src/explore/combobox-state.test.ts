import { describe, expect, it } from '@jest/globals'
import { AT_REST, comboboxReducer, type ComboboxEvent, type ComboboxState } from './combobox-state.ts'

const after = (...events: ComboboxEvent[]): ComboboxState => events.reduce(comboboxReducer, AT_REST)
const down: ComboboxEvent = { type: 'moved', by: 1, count: 3 }
const up: ComboboxEvent = { type: 'moved', by: -1, count: 3 }

describe('a combobox', () => {
  it('opens at the first proposal by the down key, at the last one by the up key', () => {
    expect(after(down)).toEqual({ open: true, text: null, active: 0, meant: true })
    expect(after(up)).toEqual({ open: true, text: null, active: 2, meant: true })
  })

  it('goes round', () => {
    expect(after(down, down, down, down)).toMatchObject({ active: 0 })
    expect(after(down, up)).toMatchObject({ active: 2 })
  })

  it('begins anew at the first proposal with each letter', () => {
    expect(after(down, down, { type: 'typed', text: 'r' })).toEqual({ open: true, text: 'r', active: 0, meant: true })
  })

  it('stays where it is without proposals', () => {
    const typed = after({ type: 'typed', text: 'xyz' })
    expect(comboboxReducer(typed, { type: 'moved', by: 1, count: 0 })).toEqual(typed)
    expect(after({ type: 'moved', by: -1, count: 0 })).toEqual({ open: true, text: null, active: 0, meant: true })
  })

  it('keeps what was typed when it is opened once more, and forgets it when it is closed', () => {
    expect(after({ type: 'typed', text: 'rot' }, { type: 'opened' })).toMatchObject({ text: 'rot' })
    expect(after({ type: 'typed', text: 'rot' }, { type: 'closed' })).toEqual(AT_REST)
  })

  it('means nothing by being opened alone', () => {
    expect(after({ type: 'opened' }, { type: 'pointed', at: 1 })).toMatchObject({ active: 1, meant: false })
    expect(after({ type: 'opened' }, down)).toMatchObject({ active: 1, meant: true })
  })

  it('is not opened by a pointer that passes', () => {
    expect(after({ type: 'pointed', at: 2 })).toEqual(AT_REST)
    expect(after(down, { type: 'pointed', at: 2 })).toMatchObject({ active: 2 })
  })
})
