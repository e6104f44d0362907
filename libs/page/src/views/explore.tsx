import { type DailyRate } from '@rates/core/daily-rates'
import { type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { messageOf } from '../api.ts'
import { serverNow } from '../clock.ts'
import '../explore/explore.css'
import { NoPrices } from '../explore/no-prices.tsx'
import { PlaceField } from '../explore/place-field.tsx'
import { catalogueOf, type Catalogue, type Port, type Region } from '../explore/places.ts'
import { dayOf, faultOfRange, ratesPath, readQuery, writeQuery, type ExploreQuery } from '../explore/query.ts'
import { RangeFields } from '../explore/range-fields.tsx'
import { RatesOfDays } from '../explore/rates-of-days.tsx'
import { useAnswer } from '../use-answer.ts'
import { Refusal } from '../parts/notes.tsx'
import { navigate } from '../router.ts'

/** The average prices from one place to another, day by day. What is shown is what the address says. */
export function ExploreView({ query: address }: { query: URLSearchParams }): JSX.Element {
  const [today] = useState(() => dayOf(serverNow()))
  const query = readQuery(address, today)
  const ports = useAnswer<{ ports: Port[] }>('ports')
  const regions = useAnswer<{ regions: Region[] }>('regions')
  const catalogue = useMemo(
    () => catalogueOf(ports.data?.ports ?? [], regions.data?.regions ?? []),
    [ports.data, regions.data],
  )
  const known = ports.data !== undefined && regions.data !== undefined
  const fault = faultOfRange(query) ?? (known ? faultOfPlaces(query, catalogue) : null)
  const whole = query.orig !== '' && query.dest !== ''
  const rates = useAnswer<{ rates: DailyRate[] }>(whole && fault === null ? ratesPath(query) : null)
  const change = (changed: Partial<ExploreQuery>): void => navigate(writeQuery({ ...query, ...changed }), 'replace')
  const failed = [ports, regions, rates].find(({ error }) => error !== undefined)
  return (
    <>
      <h1>Rates</h1>
      <div class="ask">
        <div class="places">
          <PlaceField
            id="orig"
            label="From"
            catalogue={catalogue}
            code={query.orig}
            onChoose={(orig) => change({ orig })}
          />
          <button
            type="button"
            class="swap"
            aria-label="Swap the places"
            disabled={query.orig === query.dest}
            onClick={() => change({ orig: query.dest, dest: query.orig })}
          >
            ⇄
          </button>
          <PlaceField
            id="dest"
            label="To"
            catalogue={catalogue}
            code={query.dest}
            onChoose={(dest) => change({ dest })}
          />
        </div>
        <RangeFields from={query.from} to={query.to} onChange={change} />
      </div>
      {failed && (
        <Refusal>
          {messageOf(failed.error)}{' '}
          <button type="button" onClick={failed.askAgain}>
            Try again
          </button>
        </Refusal>
      )}
      {fault !== null && <Refusal>{fault}</Refusal>}
      {!whole && <p class="note">Choose where prices go from and to: a port, or a region for all of its ports.</p>}
      {whole && fault === null && (
        <div class={rates.data && rates.busy ? 'busy' : undefined} aria-busy={rates.busy}>
          {rates.data ? (
            <RatesOfDays rates={rates.data.rates} query={query} onDay={(day) => change({ day })}>
              <NoPrices query={query} today={today} onGo={change} />
            </RatesOfDays>
          ) : (
            rates.busy && <p class="note later">Asking…</p>
          )}
        </div>
      )}
    </>
  )
}

function faultOfPlaces({ orig, dest }: ExploreQuery, catalogue: Catalogue): string | null {
  const unknown = [orig, dest].filter((code) => code !== '' && !catalogue.has(code))
  return unknown.length === 0 ? null : `There is no port or region ${unknown.join(', nor ')}.`
}
