import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { rowsText } from '../batch-words.ts'
import { bytes, duration, plural, rate } from '../format.ts'
import { ProgressBar } from '../parts/progress-bar.tsx'
import { type Work } from './machine.ts'
import { stop } from './session.ts'

/** Rates of the first moments say nothing. */
const SETTLED_SECONDS = 1

/** A file on its way, or a batch until its outcome. */
export function Going({ work, now }: { work: Work & { at: 'sending' | 'following' }; now: number }): JSX.Element {
  const stopping = work.at === 'following' && work.cancelling
  return (
    <>
      {work.at === 'sending' ? <Sending work={work} now={now} /> : <Followed id={work.id} batch={work.batch} />}
      <p class="buttons">
        <button type="button" disabled={stopping} onClick={() => void stop()}>
          {stopping ? 'Stopping…' : 'Stop'}
        </button>
      </p>
    </>
  )
}

function Sending({ work, now }: { work: Work & { at: 'sending' }; now: number }): JSX.Element {
  const { file, sent, since, batch } = work
  const seconds = (now - since) / 1000
  const perSecond = seconds > SETTLED_SECONDS && sent > 0 ? sent / seconds : null
  const facts = [
    `${bytes(sent)} of ${bytes(file.bytes)}`,
    perSecond && `${bytes(Math.round(perSecond))}/s`,
    perSecond && sent < file.bytes ? `${duration(Math.ceil((file.bytes - sent) / perSecond))} left` : null,
    batch && `${plural(batch.rows.accepted + batch.rows.rejected, 'row')} read`,
    batch && batch.rows.rejected > 0 && plural(batch.rows.rejected, 'bad row'),
  ]
  return (
    <>
      <progress aria-label={`Sent of ${file.name}`} value={sent} max={file.bytes} />
      <Facts facts={facts} />
    </>
  )
}

function Followed({ id, batch }: { id: string; batch: Batch | null }): JSX.Element {
  const facts = batch
    ? [
        rowsText(batch),
        batch.rowsPerSecond === null ? null : rate(batch.rowsPerSecond),
        batch.rows.rejected > 0 && plural(batch.rows.rejected, 'bad row'),
      ]
    : ['The service has all of it.']
  return (
    <>
      <ProgressBar id={id} progress={batch?.progress ?? null} />
      <Facts facts={facts} />
    </>
  )
}

const Facts = ({ facts }: { facts: readonly (string | number | false | null)[] }): JSX.Element => (
  <p class="facts">{facts.filter(Boolean).join(' · ')}</p>
)
