import { type DailyRate } from '@rates/core/daily-rates'
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { plural } from '../format.ts'
import { amount } from './series.ts'

const AT_ONCE = 100

interface Props {
  /** The newest first. */
  rates: readonly DailyRate[]
  chosen: string | null
  onChoose(day: string): void
}

/** The days as the chart shows them, for reading and for the keyboard. */
export function DaysTable({ rates, chosen, onChoose }: Props): JSX.Element {
  const [open, setOpen] = useState(false)
  const [shown, setShown] = useState(AT_ONCE)
  return (
    <details class="days" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The days as a table</summary>
      {open && (
        <>
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <th scope="col">day</th>
                  <th scope="col" class="right">
                    average
                  </th>
                  <th scope="col" class="right">
                    prices
                  </th>
                </tr>
              </thead>
              <tbody>
                {rates.slice(0, shown).map(({ day, count: prices, price }) => (
                  <tr key={day} class={day === chosen ? 'chosen' : undefined}>
                    <th scope="row">
                      {prices === null ? (
                        day
                      ) : (
                        <button type="button" class="link" aria-pressed={day === chosen} onClick={() => onChoose(day)}>
                          {day}
                        </button>
                      )}
                    </th>
                    <td class="right">
                      {price === null ? <span class="soft">{prices === null ? '–' : 'too few'}</span> : amount(price)}
                    </td>
                    <td class="right">{prices ?? 0}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {rates.length > shown && (
            <button type="button" onClick={() => setShown(shown + AT_ONCE)}>
              Show more of the {plural(rates.length, 'day')}
            </button>
          )}
        </>
      )}
    </details>
  )
}
