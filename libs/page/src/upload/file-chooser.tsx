import { type JSX } from 'preact'
import { useRef } from 'preact/hooks'
import { bytes } from '../format.ts'
import { kindName } from './file-kind.ts'
import { type ChosenFile } from './machine.ts'

const ACCEPTED = '.csv,.ndjson,.jsonl,.gz,.zst,text/csv,application/x-ndjson,application/gzip,application/zstd'

interface Props {
  file: ChosenFile | undefined
  /** Files are held above the view. */
  over: boolean
  busy: boolean
  onFiles(files: readonly File[]): void
}

/** The file, and the way to another one without dropping it. */
export function FileChooser({ file, over, busy, onFiles }: Props): JSX.Element {
  const input = useRef<HTMLInputElement>(null)
  return (
    <div class={`chooser${over ? ' over' : ''}${file ? ' has-file' : ''}`}>
      {file ? (
        <p>
          <strong>{file.name}</strong>{' '}
          <span class="facts">
            {bytes(file.bytes)} · {kindName(file.kind)}
          </span>
        </p>
      ) : (
        <div>
          <p class="lead">Drop a file with prices here</p>
          <p class="note">
            CSV with the columns orig_code, dest_code, day, price, or NDJSON; also compressed with gzip or zstd.
            <br />
            It is checked first: nothing is loaded before you say so.
          </p>
        </div>
      )}
      <input
        ref={input}
        type="file"
        accept={ACCEPTED}
        hidden
        aria-label="File with prices"
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])])
          currentTarget.value = '' // the same file may be chosen once more, when it was mended
        }}
      />
      <button type="button" class={file ? undefined : 'main'} disabled={busy} onClick={() => input.current?.click()}>
        {file ? 'Another file' : 'Choose a file'}
      </button>
    </div>
  )
}
