import { type Batch } from '@rates/core/batch'
import { type ComponentChildren, type JSX } from 'preact'
import { slackOf, tookSeconds } from '../../batch-words.ts'
import { ago, bytes, count, dayAndTime, duration, plural, rate } from '../../format.ts'
import { CopyButton } from '../../parts/copy-button.tsx'
import { batchPath } from '../../routes.ts'
import { type Relatives } from './use-relatives.ts'

/** Everything that the ledger knows of a batch; what it does not know is left out. */
export function Facts({ batch, relatives, now }: { batch: Batch; relatives: Relatives; now: number }): JSX.Element {
  const { rows, chunks, dryRun } = batch
  const slack = slackOf(batch, now)
  return (
    <div class="facts-columns">
      <Group title="Rows">
        <Fact name="accepted">{count(rows.accepted)}</Fact>
        <Fact name="rejected" alarm={rows.rejected > 0}>
          {count(rows.rejected)}
        </Fact>
        <Fact name="expected">{rows.expected !== null && count(rows.expected)}</Fact>
        <Fact name="chunks">
          {chunks.expected === null ? count(chunks.done) : `${count(chunks.done)} of ${count(chunks.expected)}`}
        </Fact>
        <Fact name="size, as sent">{bytes(batch.bytes)}</Fact>
        <Fact name="speed">{batch.rowsPerSecond !== null && rate(batch.rowsPerSecond).replace('/s', ' rows/s')}</Fact>
      </Group>
      <Group title="Times, UTC">
        <Moment name="opened" at={batch.createdAt} now={now} />
        <Moment name="taken by a worker" at={batch.startedAt} now={now} />
        <Moment name="ended" at={batch.finishedAt} now={now} />
        <Moment name={batch.state === 'replaced' ? 'replaced' : 'reverted'} at={batch.hiddenAt} now={now} />
        <Moment name="data deleted" at={batch.purgedAt} now={now} />
        <Fact name="run time">{duration(tookSeconds(batch, now))}</Fact>
        <Fact name="deadline" alarm={slack?.late ?? false}>
          {batch.deadline !== null && (
            <>
              {dayAndTime(batch.deadline)} {slack !== null && <span class="soft">{slack.text}</span>}
            </>
          )}
        </Fact>
      </Group>
      <Group title="Loaded by">
        <Fact name={plural(batch.workers.length, 'worker')}>
          {batch.workers.length > 0 && batch.workers.join(', ')}
        </Fact>
        <Fact name="attempts" alarm={batch.attempts > 1}>
          {batch.attempts > 0 && count(batch.attempts)}
        </Fact>
        <Fact name="peak memory">{batch.peakMemoryBytes !== null && bytes(batch.peakMemoryBytes)}</Fact>
        <Fact name="log">{batch.log !== null && <Log at={batch.log} />}</Fact>
      </Group>
      <Group title="Belongs to">
        <Fact name="source">
          {batch.source !== null && (
            <a href={`batches?${new URLSearchParams({ source: batch.source })}`}>{batch.source}</a>
          )}
        </Fact>
        <Fact name="replaces">{batch.replaces !== null && <To id={batch.replaces} />}</Fact>
        <Fact name="replaced by">{batch.replacedBy !== null && <To id={batch.replacedBy} />}</Fact>
        <Fact name="runs again">{batch.retryOf !== null && <To id={batch.retryOf} />}</Fact>
        <Fact name="run again as">
          {relatives.retries.length > 0 && relatives.retries.map(({ id }) => <To key={id} id={id} />)}
        </Fact>
        <Fact name={dryRun ? 'the batch itself' : 'dry run of it'}>
          {relatives.twin && <a href={batchPath(relatives.twin)}>{dryRun ? batch.id : 'its dry run'}</a>}
        </Fact>
        <Code name="correlation id" text={batch.correlationId} />
        <Code name="trace id" text={batch.traceId} />
        <Code name="digest" text={batch.digest} />
      </Group>
    </div>
  )
}

function Group({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <dl>{children}</dl>
    </section>
  )
}

interface FactProps {
  name: string
  alarm?: boolean
  /** Nothing, if it is not known. */
  children: ComponentChildren
}

function Fact({ name, alarm = false, children }: FactProps): JSX.Element | null {
  if (children === false || children === null || children === undefined) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd class={alarm ? 'alarm' : ''}>{children}</dd>
    </div>
  )
}

function Moment({ name, at, now }: { name: string; at: string | null; now: number }): JSX.Element {
  return (
    <Fact name={name}>
      {at !== null && (
        <time dateTime={at} title={ago(at, now)}>
          {dayAndTime(at)}
        </time>
      )}
    </Fact>
  )
}

function Code({ name, text }: { name: string; text: string | null }): JSX.Element {
  return (
    <Fact name={name}>
      {text !== null && (
        <>
          <span class="code">{text}</span> <CopyButton text={text} what={name} />
        </>
      )}
    </Fact>
  )
}

const To = ({ id }: { id: string }): JSX.Element => (
  <a class="id" href={batchPath({ id, dryRun: false })}>
    {id}
  </a>
)

/** Where the log is, is a text of the operator's: only what a browser can open safely is a link. */
const Log = ({ at }: { at: string }): JSX.Element =>
  /^https?:\/\//i.test(at) ? (
    <a href={at} rel="noreferrer">
      open
    </a>
  ) : (
    <span class="code">{at}</span>
  )
