import { type JSX } from 'preact'
import { Stale } from '../../parts/notes.tsx'

/** A system that has no batch yet: how to send one. */
export function FirstBatch({ connected }: { connected: boolean }): JSX.Element {
  const url = new URL('batches', document.baseURI).href
  return (
    <>
      <Stale connected={connected} />
      <div class="first">
        <h1>No batch yet</h1>
        <p>
          Prices come in as batches: files of lines <code>CNTXG,NLRTM,2026-11-01,1100</code> (from port, to port, day,
          price). All of a batch is visible at once, or nothing of it. Send the first one:
        </p>
        <dl class="ways">
          <dt>Here</dt>
          <dd>
            <a class="button main" href="upload">
              Upload a file
            </a>
          </dd>
          <dt>Over HTTP</dt>
          <dd>
            <pre tabIndex={0}>curl -H 'content-type: text/csv' --data-binary @prices.csv {url}</pre>
          </dd>
          <dt>Over Kafka</dt>
          <dd>
            <pre tabIndex={0}>npm run produce -- prices.csv</pre>
          </dd>
        </dl>
        <p class="note">This page shows it as soon as it comes.</p>
      </div>
    </>
  )
}
