import { type JSX, type TargetedKeyboardEvent } from 'preact'
import { useEffect, useReducer, useRef } from 'preact/hooks'
import { plural } from '../format.ts'
import { AT_REST, comboboxReducer } from './combobox-state.ts'
import { labelOf, named, search, type Catalogue, type Place } from './places.ts'

/** More proposals than that are not read by anybody. */
const SHOWN = 60

interface Props {
  id: string
  label: string
  catalogue: Catalogue
  /** The code of the chosen place, or none. */
  code: string
  onChoose(code: string): void
}

/**
 * Chooses a port or a region: the editable combobox of the ARIA authoring practices. Enter and Tab take the active
 * proposal, Escape goes back to what was chosen.
 */
export function PlaceField({ id, label, catalogue, code, onChoose }: Props): JSX.Element {
  const [state, send] = useReducer(comboboxReducer, AT_REST)
  const input = useRef<HTMLInputElement>(null)
  const chosen = catalogue.get(code)
  const shown = chosen ? labelOf(chosen) : code
  const text = (state.open ? state.text : null) ?? shown
  const found = state.open ? search(catalogue, state.text ?? '') : []
  const proposals = found.slice(0, SHOWN)
  const active = state.open ? proposals[state.active] : undefined

  const choose = (place: Place): void => {
    send({ type: 'closed' })
    if (place.code !== code) onChoose(place.code)
  }
  const keyDown = (event: TargetedKeyboardEvent<HTMLInputElement>): void => {
    switch (event.key) {
      case 'ArrowDown':
      case 'ArrowUp':
        event.preventDefault()
        // The list of all places, which comes up first, has as many proposals as fit.
        send({
          type: 'moved',
          by: event.key === 'ArrowDown' ? 1 : -1,
          count: state.open ? proposals.length : Math.min(catalogue.size, SHOWN),
        })
        return
      case 'Enter':
        if (active) event.preventDefault()
        if (active) choose(active)
        return
      case 'Tab':
        if (state.open && state.meant && active) choose(active)
        return
      case 'Escape':
        if (state.open) event.preventDefault()
        send({ type: 'closed' })
    }
  }
  const leave = (): void => {
    const place = state.open && state.text !== null ? named(catalogue, state.text) : undefined
    if (place) choose(place)
    else send({ type: 'closed' })
  }
  useEffect(() => {
    if (active) document.getElementById(optionId(id, active))?.scrollIntoView({ block: 'nearest' })
  }, [active])

  return (
    <div class="place">
      <label for={id}>{label}</label>
      <input
        ref={input}
        id={id}
        role="combobox"
        aria-expanded={state.open}
        aria-autocomplete="list"
        aria-controls={state.open ? `${id}-list` : undefined}
        aria-activedescendant={active && optionId(id, active)}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder="Port or region"
        value={text}
        onInput={(event) => send({ type: 'typed', text: event.currentTarget.value })}
        onKeyDown={keyDown}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => send({ type: 'opened' })}
        onBlur={leave}
      />
      {state.open && (
        // A press on the list must not take the focus from the field: that would close it.
        <div class="proposals" onMouseDown={(event) => event.preventDefault()}>
          {proposals.length > 0 && (
            <ul id={`${id}-list`} role="listbox" aria-label={label}>
              {proposals.map((place, i) => (
                <li
                  key={place.code}
                  id={optionId(id, place)}
                  role="option"
                  aria-selected={place === active}
                  onMouseMove={() => i !== state.active && send({ type: 'pointed', at: i })}
                  onClick={() => choose(place)}
                >
                  <Proposal place={place} />
                </li>
              ))}
            </ul>
          )}
          <p class="note" role="status">
            {found.length > proposals.length
              ? `${plural(found.length, 'place')}; the first ${SHOWN} are shown: type more of it.`
              : found.length === 0
                ? 'No such place.'
                : plural(found.length, 'place')}
          </p>
        </div>
      )}
    </div>
  )
}

function Proposal({ place: { kind, code, name, within, ports } }: { place: Place }): JSX.Element {
  return (
    <>
      <span class={`kind ${kind}`}>{kind}</span>{' '}
      <span>
        <strong>{kind === 'port' ? code : name}</strong> {kind === 'port' && name}{' '}
        <span class="soft">{[...(kind === 'region' ? [code, plural(ports, 'port')] : []), ...within].join(', ')}</span>
      </span>
    </>
  )
}

const optionId = (id: string, { kind, code }: Place): string => `${id}-${kind}-${code}`
