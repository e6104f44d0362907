import { type Batch } from '@rates/core/batch'
import { type ComponentChildren, type JSX } from 'preact'
import { inState, lastEnded, mostUrgent } from '../batch-store.ts'
import { ago, count, duration, percent, plural, rate, secondsBetween } from '../format.ts'
import { Stale } from '../parts/notes.tsx'
import { ProgressBar } from '../parts/progress-bar.tsx'
import { batchPath } from '../routes.ts'
import { useBatches, useNow } from '../use-batches.ts'

const SHOWN = 8
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
  return (
    <>
      <Stale connected={connected} />
      <h1 class="aside">Overview</h1>
      <Section
        title="Loading now"
        all="batches?state=pending,in_progress"
        note={ready ? 'Nothing is being loaded.' : 'Asking…'}
      >
        {loading.slice(0, 20).map((batch) => (
          <LoadingRow key={batch.id} batch={batch} now={now} />
        ))}
      </Section>
      <div class="columns">
        <Section title="Failed lately" all="batches?state=failed" note="No batch has failed.">
          {failed.map((batch) => (
            <FailedRow key={batch.id} batch={batch} now={now} />
          ))}
        </Section>
        <Section title="Published lately" all="batches?state=succeeded" note="No batch was published yet.">
          {published.map((batch) => (
            <PublishedRow key={batch.id} batch={batch} now={now} />
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
  note: string
  children: JSX.Element[]
}

function Section({ title, all, note, children }: SectionProps): JSX.Element {
  return (
    <section>
      <h2>
        {title} <a href={all}>all</a>
      </h2>
      {children.length === 0 ? <p class="note">{note}</p> : <ul class="cards">{children}</ul>}
    </section>
  )
}

function Card({ batch, children }: { batch: Batch; children: ComponentChildren }): JSX.Element {
  return (
    <li>
      <a class={`card ${batch.state}`} href={batchPath(batch)}>
        <span class="head">
          <strong>{batch.id}</strong>
          {batch.dryRun && <span class="soft">dry run</span>}
          {batch.source !== null && <span class="soft">{batch.source}</span>}
        </span>
        {children}
      </a>
    </li>
  )
}

function LoadingRow({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { progress, rows, rowsPerSecond, etaAt, slackSeconds, createdAt } = batch
  const facts = [
    progress === null ? null : percent(progress),
    plural(rows.accepted + rows.rejected, 'row'),
    rowsPerSecond === null ? null : `${rate(rowsPerSecond)}`,
    etaAt === null
      ? `for ${duration(secondsBetween(createdAt, now))}`
      : `done in ${duration(secondsBetween(new Date(now).toISOString(), etaAt))}`,
    slackSeconds === null
      ? null
      : slackSeconds < 0
        ? `${duration(-slackSeconds)} too late`
        : `${duration(slackSeconds)} of slack`,
    rows.rejected === 0 ? null : plural(rows.rejected, 'bad row'),
  ]
  return (
    <Card batch={batch}>
      <ProgressBar id={batch.id} progress={progress} />
      <Facts facts={facts} alarm={(slackSeconds ?? 0) < 0 || rows.rejected > 0} />
    </Card>
  )
}

function FailedRow({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { error, finishedAt } = batch
  return (
    <Card batch={batch}>
      <span class="why">
        <b>{error?.code}</b> {error?.message}
      </span>
      <Facts facts={[finishedAt === null ? null : ago(finishedAt, now)]} />
    </Card>
  )
}

function PublishedRow({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { rows, createdAt, finishedAt } = batch
  const took = finishedAt === null ? null : `in ${duration(secondsBetween(createdAt, finishedAt))}`
  return (
    <Card batch={batch}>
      <Facts facts={[`${count(rows.accepted)} rows`, took, finishedAt === null ? null : ago(finishedAt, now)]} />
    </Card>
  )
}

function Facts({ facts, alarm = false }: { facts: readonly (string | null)[]; alarm?: boolean }): JSX.Element {
  return <span class={alarm ? 'facts alarm' : 'facts'}>{facts.filter((fact) => fact !== null).join(' · ')}</span>
}
