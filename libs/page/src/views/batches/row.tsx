import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { isOpen } from '../../batch-store.ts'
import { slackOf, tookSeconds } from '../../batch-words.ts'
import { count, duration, percent } from '../../format.ts'
import { Marked } from '../../parts/marked.tsx'
import { ProgressBar } from '../../parts/progress-bar.tsx'
import { StateMark } from '../../parts/state-mark.tsx'
import { Ago } from '../../parts/time.tsx'
import { batchPath } from '../../routes.ts'

const COLUMNS = ['Batch', 'State', 'Source', 'Rows', 'Took', 'Opened', 'Error'] as const

export function Head(): JSX.Element {
  return (
    <thead>
      <tr>
        {COLUMNS.map((column) => (
          <th key={column} scope="col" class={column === 'Rows' || column === 'Took' ? 'right' : ''}>
            {column}
          </th>
        ))}
      </tr>
    </thead>
  )
}

/** @param query words that were searched for */
export function Row({ batch, query, now }: { batch: Batch; query: string; now: number }): JSX.Element {
  const { id, source, rows, error, createdAt, dryRun } = batch
  const took = tookSeconds(batch, now)
  return (
    <tr class={batch.state}>
      <th scope="row">
        <a class="id row-link" href={batchPath(batch)}>
          <Marked text={id} query={query} />
        </a>
        {dryRun && <span class="tag">dry run</span>}
      </th>
      <td class="in-state">
        <State batch={batch} />
      </td>
      <td class="source">
        <Marked text={source ?? ''} query={query} />
      </td>
      <td class="right" data-name="rows">
        {count(rows.accepted + rows.rejected)}
        {rows.rejected > 0 && <span class="alarm"> ({count(rows.rejected)} bad)</span>}
      </td>
      <td class="right" data-name="took">
        {duration(isOpen(batch) ? Math.max(1, Math.floor(took)) : took)}
      </td>
      <td class="when">
        <Ago at={createdAt} now={now} />
      </td>
      <td class="error">
        {error !== null && (
          <span class="why" title={error.message}>
            <b>
              <Marked text={error.code} query={query} />
            </b>{' '}
            <Marked text={error.message} query={query} />
          </span>
        )}
      </td>
    </tr>
  )
}

function State({ batch }: { batch: Batch }): JSX.Element {
  const { id, progress } = batch
  if (batch.state !== 'in_progress') return <StateMark state={batch.state} dryRun={false} />
  const slack = slackOf(batch)
  return (
    <span class="going">
      <ProgressBar id={id} progress={progress} />
      <span class={slack?.late === true ? 'alarm' : 'soft'}>{progress === null ? 'loading' : percent(progress)}</span>
    </span>
  )
}
