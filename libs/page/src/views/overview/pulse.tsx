import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { readJson } from '../../api.ts'
import { slackOf } from '../../batch-words.ts'
import { bottleneckLine, type BottleneckAnswer } from '../../bottleneck-line.ts'
import { plural, rate } from '../../format.ts'

const ASK_MILLISECONDS = 5000

/** The whole system in a line: how much is loaded, how fast, and what holds it up. */
export function Pulse({
  loading,
  ready,
  now,
}: {
  loading: readonly Batch[]
  ready: boolean
  now: number
}): JSX.Element {
  const bottleneck = useBottleneck()
  const line = bottleneck && bottleneckLine(bottleneck, now)
  const together = loading.reduce((sum, { rowsPerSecond }) => sum + (rowsPerSecond ?? 0), 0)
  const late = loading.filter((batch) => slackOf(batch, now)?.late === true).length
  return (
    <p class="pulse">
      {ready && (
        <span>
          {loading.length === 0 ? 'Nothing is loading' : `${plural(loading.length, 'batch', 'batches')} loading`}
        </span>
      )}
      {together > 0 && <span>{rate(together).replace('/s', ' rows/s')}</span>}
      {late > 0 && <span class="alarm">{late} too late</span>}
      {line !== undefined && <a href="bottleneck">{line}</a>}
    </p>
  )
}

/** The verdict, asked anew while the page is looked at; undefined while it is not known. */
function useBottleneck(): BottleneckAnswer | undefined {
  const [answer, set] = useState<BottleneckAnswer>()
  useEffect(() => {
    const left = new AbortController()
    const ask = (): void => {
      if (document.hidden) return
      readJson<BottleneckAnswer>('bottleneck?format=json', left.signal).then(set, () => {
        if (!left.signal.aborted) set(undefined)
      })
    }
    ask()
    const timer = setInterval(ask, ASK_MILLISECONDS)
    return () => {
      clearInterval(timer)
      left.abort()
    }
  }, [])
  return answer
}
