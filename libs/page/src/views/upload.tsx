import { type JSX } from 'preact'

export function UploadView(): JSX.Element {
  return <h1>Upload</h1>
}
