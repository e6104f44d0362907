import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { FIRST_DAY, isPriceDay, LAST_DAY, SPANS, until } from './query.ts'

interface Range {
  from: string
  to: string
}

/** The first and the last day, and the usual ranges that end with the latter. */
export function RangeFields({ from, to, onChange }: Range & { onChange(range: Range): void }): JSX.Element {
  return (
    <div class="range">
      <DayField id="from" label="First day" day={from} onChange={(day) => onChange({ from: day, to })} />
      <DayField id="to" label="Last day" day={to} onChange={(day) => onChange({ from, to: day })} />
      <div class="spans" role="group" aria-label="Days until the last one">
        {SPANS.map(({ name, days }) => {
          const range = until(to, days)
          return (
            <button key={name} type="button" aria-pressed={range.from === from} onClick={() => onChange(range)}>
              {name}
            </button>
          )
        })}
      </div>
    </div>
  )
}

interface DayProps {
  id: string
  label: string
  day: string
  onChange(day: string): void
}

/** While a year is typed, 0002 and 0020 are dates, too: they stay in the field. */
function DayField({ id, label, day, onChange }: DayProps): JSX.Element {
  const [text, setText] = useState(day)
  useEffect(() => setText(day), [day])
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="date"
        required
        min={FIRST_DAY}
        max={LAST_DAY}
        value={text}
        onInput={({ currentTarget: { value } }) => {
          setText(value)
          if (isPriceDay(value) && value !== day) onChange(value)
        }}
        onBlur={() => setText(day)}
      />
    </div>
  )
}
