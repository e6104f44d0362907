import { type JSX, type RefObject } from 'preact'
import { hasChip, STATE_CHIPS, toggleChip, type Filter } from './filter.ts'

export interface FiltersProps {
  filter: Filter
  /** Of the batches that are shown, to choose from. */
  sources: readonly string[]
  search: RefObject<HTMLInputElement | null>
  onChange(filter: Filter): void
  onHelp(): void
}

export function Filters({ filter, sources, search, onChange, onHelp }: FiltersProps): JSX.Element {
  const dryRun = filter.dryRun === undefined ? '' : String(filter.dryRun)
  return (
    <div class="filters" role="search" aria-label="Batches">
      <input
        ref={search}
        type="search"
        class="words"
        aria-label="Search by id, source and error"
        aria-keyshortcuts="/"
        placeholder="id, source, error …"
        autocomplete="off"
        spellcheck={false}
        value={filter.q}
        onInput={({ currentTarget }) => onChange({ ...filter, q: currentTarget.value })}
      />
      <input
        type="text"
        class="of-source"
        aria-label="Source"
        placeholder="source"
        autocomplete="off"
        spellcheck={false}
        list="sources"
        value={filter.source}
        onInput={({ currentTarget }) => onChange({ ...filter, source: currentTarget.value })}
      />
      <datalist id="sources">
        {sources.map((source) => (
          <option key={source} value={source} />
        ))}
      </datalist>
      <select
        aria-label="Dry runs"
        value={dryRun}
        onChange={({ currentTarget: { value } }) =>
          onChange({ ...filter, dryRun: value === '' ? undefined : value === 'true' })
        }
      >
        <option value="">with dry runs</option>
        <option value="false">without dry runs</option>
        <option value="true">dry runs only</option>
      </select>
      <div class="chips" role="group" aria-label="States">
        {STATE_CHIPS.map(({ name, states }) => (
          <button
            key={name}
            type="button"
            class={`chip ${states.at(-1)}`}
            aria-pressed={hasChip(filter, states)}
            onClick={() => onChange(toggleChip(filter, states))}
          >
            {name}
          </button>
        ))}
        <button type="button" class="chip help" aria-label="Keys" title="Keys (?)" onClick={onHelp}>
          ?
        </button>
      </div>
    </div>
  )
}
