import { type JSX } from 'preact'
import { Refusal } from '../parts/notes.tsx'
import { BatchFields } from '../upload/batch-fields.tsx'
import { faultsOf } from '../upload/fields.ts'
import { FileChooser } from '../upload/file-chooser.tsx'
import { Going } from '../upload/going.tsx'
import { headline } from '../upload/headline.ts'
import { isBusy, type Work } from '../upload/machine.ts'
import { Result } from '../upload/result.tsx'
import { choose, setFields } from '../upload/session.ts'
import '../upload/upload.css'
import { useDrop } from '../upload/use-drop.ts'
import { useSession } from '../upload/use-session.ts'

const take = (files: readonly File[]): void => void choose(files)

/** Checks a file by a dry run, shows what is wrong with it, and loads it when it is told to. */
export function UploadView(): JSX.Element {
  const {
    state: { work, refusal },
    fields,
  } = useSession()
  const over = useDrop(take)
  const invalid = Object.keys(faultsOf(fields)).length > 0
  const words = headline(work)
  return (
    <div class="upload">
      <h1>Upload prices</h1>
      <FileChooser file={work.at === 'empty' ? undefined : work.file} over={over} busy={isBusy(work)} onFiles={take} />
      {refusal !== null && <Refusal>{refusal}</Refusal>}
      <section class={`work ${toneOf(work)}`} aria-label="State of the upload">
        <div role="status">{words !== '' && <h2>{words}</h2>}</div>
        {(work.at === 'sending' || work.at === 'following') && <Going work={work} now={Date.now()} />}
        {(work.at === 'ended' || work.at === 'stopped') && <Result work={work} invalid={invalid} />}
      </section>
      <BatchFields fields={fields} disabled={isBusy(work)} onChange={setFields} />
    </div>
  )
}

function toneOf(work: Work): 'good' | 'bad' | '' {
  if (work.at === 'stopped') return 'bad'
  if (work.at !== 'ended') return ''
  return work.batch.state === 'succeeded' ? 'good' : 'bad'
}
