import { type Batch } from '@rates/core/batch'
import { type ComponentChildren, type JSX } from 'preact'
import { inState, keyOf, lastEnded, mostUrgent } from '../batch-store.ts'
import { doneIn, rowsText, slackOf, tookSeconds } from '../batch-words.ts'
import { duration, percent, plural, rate } from '../format.ts'
import { Stale } from '../parts/notes.tsx'
import { ProgressBar } from '../parts/progress-bar.tsx'
import { Ago } from '../parts/time.tsx'
import { batchPath } from '../routes.ts'
import { useBatches } from '../use-batches.ts'
import { useNow } from '../use-now.ts'
import { FirstBatch } from './overview/first-batch.tsx'
import { Pulse } from './overview/pulse.tsx'
import './overview/overview.css'

const SHOWN = 8
const MOST_LOADING = 20
const PAGES = [
  `state=failed&limit=${SHOWN}`,
  `state=succeeded&dryRun=false&limit=${SHOWN}`,
  'state=pending,in_progress&limit=200',
]

/** What loads now, what failed and why, what was published lately. */
export function OverviewView(): JSX.Element {
  const { store, ready, connected } = useBatches(PAGES)
  const now = useNow()
  const loading = mostUrgent(inState(store, 'pending', 'in_progress'))
  const failed = lastEnded(inState(store, 'failed')).slice(0, SHOWN)
  const published = lastEnded(inState(store, 'succeeded').filter(({ dryRun }) => !dryRun)).slice(0, SHOWN)
  if (ready && store.size === 0) return <FirstBatch connected={connected} />
  return (
    <>
      <Stale connected={connected} />
      <h1 class="aside">Overview</h1>
      <Pulse loading={loading} ready={ready} now={now} />
      <Section
        title="Loading now"
        all="batches?state=pending,in_progress"
        none="Nothing is being loaded."
        ready={ready}
      >
        {loading.slice(0, MOST_LOADING).map((batch) => (
          <Loading key={keyOf(batch)} batch={batch} now={now} />
        ))}
      </Section>
      {loading.length > MOST_LOADING && (
        <p class="note">
          <a href="batches?state=pending,in_progress">and {loading.length - MOST_LOADING} more</a>
        </p>
      )}
      <div class="columns">
        <Section title="Failed lately" all="batches?state=failed" none="No batch has failed." ready={ready}>
          {failed.map((batch) => (
            <Failed key={keyOf(batch)} batch={batch} now={now} />
          ))}
        </Section>
        <Section
          title="Published lately"
          all="batches?state=succeeded&dryRun=false"
          none="No batch was published yet."
          ready={ready}
        >
          {published.map((batch) => (
            <Published key={keyOf(batch)} batch={batch} now={now} />
          ))}
        </Section>
      </div>
    </>
  )
}

interface SectionProps {
  title: string
  /** Where the whole list is. */
  all: string
  none: string
  ready: boolean
  children: JSX.Element[]
}

function Section({ title, all, none, ready, children }: SectionProps): JSX.Element {
  return (
    <section aria-label={title}>
      <h2>
        {title}{' '}
        <a href={all} aria-label={`${title}: all`}>
          all
        </a>
      </h2>
      {children.length > 0 ? <ul class="cards">{children}</ul> : <p class="note">{ready ? none : 'Asking…'}</p>}
    </section>
  )
}

interface CardProps {
  batch: Batch
  /** Beside its name. */
  aside?: JSX.Element
  /** What matters most of it. */
  corner: ComponentChildren
  children?: ComponentChildren
}

function Card({ batch, aside, corner, children }: CardProps): JSX.Element {
  return (
    <li>
      <a class={`card ${batch.state}`} href={batchPath(batch)}>
        <span class="top">
          <span class="head">
            <strong class="id">{batch.id}</strong>
            {batch.dryRun && <span class="tag">dry run</span>}
            {batch.source !== null && <span class="soft source">{batch.source}</span>}
            {aside}
          </span>
          <span class="corner">{corner}</span>
        </span>
        {children}
      </a>
    </li>
  )
}

function Loading({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { progress, rows, rowsPerSecond } = batch
  const slack = slackOf(batch, now)
  const corner = (
    <>
      {progress !== null && <b>{percent(progress)}</b>} {doneIn(batch, now)}
    </>
  )
  return (
    <Card batch={batch} corner={corner}>
      <ProgressBar id={batch.id} progress={progress} />
      <span class="facts">
        <span>{batch.state === 'pending' ? 'waits for a worker' : rowsText(batch)}</span>
        {rowsPerSecond !== null && <span>{rate(rowsPerSecond)}</span>}
        {slack !== null && <span class={slack.late ? 'alarm' : ''}>{slack.text}</span>}
        {rows.rejected > 0 && <span class="alarm">{plural(rows.rejected, 'bad row')}</span>}
      </span>
    </Card>
  )
}

function Failed({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { error, finishedAt } = batch
  return (
    <Card batch={batch} corner={finishedAt !== null && <Ago at={finishedAt} now={now} />}>
      <span class="why">
        <b>{error?.code}</b> {error?.message}
      </span>
    </Card>
  )
}

function Published({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { rows, finishedAt } = batch
  const slack = slackOf(batch, now)
  const facts = (
    <span class="facts">
      <span>{plural(rows.accepted, 'row')}</span>
      <span>{duration(tookSeconds(batch, now))}</span>
      {slack !== null && <span class={slack.late ? 'alarm' : ''}>{slack.text}</span>}
    </span>
  )
  return <Card batch={batch} aside={facts} corner={finishedAt !== null && <Ago at={finishedAt} now={now} />} />
}
