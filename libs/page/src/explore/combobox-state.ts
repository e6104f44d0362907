/**
 * A field with a list of proposals. It is either at rest, showing what was chosen, or open: then `text` is what was typed
 * (null: nothing yet), and one of the proposals, if there are any, is the active one; `meant`: by letters or arrow keys.
 */
export type ComboboxState = { open: false } | { open: true; text: string | null; active: number; meant: boolean }

export type ComboboxEvent =
  | { type: 'opened' }
  | { type: 'typed'; text: string }
  /** An arrow key; `count`: proposals there are. */
  | { type: 'moved'; by: 1 | -1; count: number }
  | { type: 'pointed'; at: number }
  | { type: 'closed' }

export const AT_REST: ComboboxState = { open: false }

export function comboboxReducer(state: ComboboxState, event: ComboboxEvent): ComboboxState {
  switch (event.type) {
    case 'opened':
      return state.open ? state : { open: true, text: null, active: 0, meant: false }
    case 'typed':
      return { open: true, text: event.text, active: 0, meant: true }
    case 'moved':
      if (!state.open)
        return { open: true, text: null, active: event.by === 1 ? 0 : Math.max(event.count - 1, 0), meant: true }
      if (event.count === 0) return state
      return { ...state, active: (state.active + event.by + event.count) % event.count, meant: true }
    case 'pointed':
      return state.open ? { ...state, active: event.at } : state
    case 'closed':
      return AT_REST
  }
}
