import { type Batch } from '@rates/core/batch'
import { BATCH_ID } from '@rates/core/wire'
import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { isOpen } from '../batch-store.ts'
import { doneIn, rowsText, slackOf, STATE_NAMES, tookSeconds } from '../batch-words.ts'
import { duration, percent, plural, rate } from '../format.ts'
import { oneBatch } from '../live.ts'
import { CopyButton } from '../parts/copy-button.tsx'
import { Stale } from '../parts/notes.tsx'
import { ProgressBar } from '../parts/progress-bar.tsx'
import { StateMark } from '../parts/state-mark.tsx'
import { Ago } from '../parts/time.tsx'
import { batchPath } from '../routes.ts'
import { useFollow } from '../use-follow.ts'
import { useNow } from '../use-now.ts'
import { Actions } from './batch/actions.tsx'
import { ErrorTable } from '../bad-rows/error-table.tsx'
import { Facts } from './batch/facts.tsx'
import { Failure } from '../parts/failure.tsx'
import { PhaseBar } from './batch/phase-bar.tsx'
import { useRelatives, type Relatives } from './batch/use-relatives.ts'
import './batch/batch.css'

/** The service says nothing of a batch that it has not seen: after so long, it has none. */
const UNSEEN_MILLISECONDS = 700

/** One batch, live. */
export function BatchView({ id, dryRun }: { id: string; dryRun: boolean }): JSX.Element {
  if (!BATCH_ID.test(id)) {
    return (
      <>
        <Title id={id} dryRun={dryRun} />
        <p class="note">No batch can have this id: ids are 1 to 128 letters, digits and . _ : -</p>
      </>
    )
  }
  return <LiveBatch id={id} dryRun={dryRun} />
}

function LiveBatch({ id, dryRun }: { id: string; dryRun: boolean }): JSX.Element {
  const [told, setTold] = useState<Batch>()
  const [asked, setAsked] = useState(false)
  const connected = useFollow(oneBatch(id, dryRun), {
    onConnect: () => setAsked(true),
    onBatches: (batches) => setTold(batches.at(-1)),
  })
  const relatives = useRelatives(id, dryRun, told?.state)
  const batch = told ?? relatives.listed ?? undefined
  const unseen = useDelay(asked && told === undefined && relatives.listed === null, UNSEEN_MILLISECONDS)
  const now = useNow()
  useEffect(() => {
    if (batch !== undefined) document.title = `${titleMark(batch)} ${id} – Rates`
  }, [batch])
  return (
    <>
      <Stale connected={connected} />
      <Title id={id} dryRun={dryRun} batch={batch} onChanged={setTold} />
      {batch === undefined ? (
        <Unseen unseen={unseen} relatives={relatives} />
      ) : (
        <>
          <Summary batch={batch} now={now} />
          {isOpen(batch) && <Going batch={batch} now={now} />}
          {batch.error !== null && <Failure batch={batch} />}
          <ErrorTable batch={batch} />
          <PhaseBar phases={batch.phases} />
          <Facts batch={batch} relatives={relatives} now={now} />
          <footer class="below">
            <a href={`${batchPath(batch)}${dryRun ? '&' : '?'}format=json`} data-leave>
              JSON
            </a>
          </footer>
        </>
      )}
    </>
  )
}

/** What people ask first. */
function Summary({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { source, createdAt, finishedAt } = batch
  return (
    <p class="facts summary">
      {source !== null && <span>{source}</span>}
      <span>
        opened <Ago at={createdAt} now={now} />
      </span>
      {finishedAt !== null && (
        <span>
          {rowsText(batch)} in {duration(tookSeconds(batch, now))}
        </span>
      )}
    </p>
  )
}

interface TitleProps {
  id: string
  dryRun: boolean
  batch?: Batch | undefined
  onChanged?: (batch: Batch) => void
}

function Title({ id, dryRun, batch, onChanged }: TitleProps): JSX.Element {
  return (
    <header class="batch-title">
      <h1>
        <span class="of-kind">{dryRun ? 'Dry run' : 'Batch'}</span> <span class="id">{id}</span>
      </h1>
      <CopyButton text={id} what="id" />
      <span class="spring" />
      <span role="status">{batch && <StateMark state={batch.state} dryRun={false} />}</span>
      {batch && onChanged && <Actions batch={batch} onChanged={onChanged} />}
    </header>
  )
}

function Unseen({ unseen, relatives: { twin } }: { unseen: boolean; relatives: Relatives }): JSX.Element {
  if (!unseen) return <p class="note">Asking…</p>
  return (
    <div class="waiting">
      <ProgressBar id="the wait" progress={null} />
      <p role="status">Nothing has come of this batch yet. It is shown here as soon as it does.</p>
      {twin && (
        <p class="note">
          There is <a href={batchPath(twin)}>{twin.dryRun ? 'a dry run' : 'a batch'} of this id</a>.
        </p>
      )}
    </div>
  )
}

/** What it does now, and how long it still takes. */
function Going({ batch, now }: { batch: Batch; now: number }): JSX.Element {
  const { id, progress, rowsPerSecond, rows } = batch
  const slack = slackOf(batch, now)
  return (
    <section class="going-now" aria-label="Progress">
      <p class="figures">
        {progress !== null && <strong>{percent(progress)}</strong>}
        <span>{doneIn(batch, now)}</span>
        <span>{batch.state === 'pending' ? 'waits for a worker' : rowsText(batch)}</span>
        {rowsPerSecond !== null && <span>{rate(rowsPerSecond).replace('/s', ' rows/s')}</span>}
        {slack !== null && <span class={slack.late ? 'alarm' : ''}>{slack.text}</span>}
        {rows.rejected > 0 && <span class="alarm">{plural(rows.rejected, 'bad row')}: it will fail</span>}
      </p>
      <ProgressBar id={id} progress={progress} />
    </section>
  )
}

const titleMark = (batch: Batch): string =>
  isOpen(batch) && batch.progress !== null ? percent(batch.progress) : STATE_NAMES[batch.state]

/** True once `on` has been true for so long. */
function useDelay(on: boolean, milliseconds: number): boolean {
  const [over, set] = useState(false)
  useEffect(() => {
    if (!on) return
    const timer = setTimeout(() => set(true), milliseconds)
    return () => {
      clearTimeout(timer)
      set(false)
    }
  }, [on])
  return over
}
