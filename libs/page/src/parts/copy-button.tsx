import { type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

const TOLD_MILLISECONDS = 2000

/** Copies a text; says so for a moment, also to those who hear the page. */
export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element | null {
  const [told, setTold] = useState('')
  useEffect(() => {
    if (told === '') return
    const timer = setTimeout(() => setTold(''), TOLD_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [told])
  // Browsers have it only where a page came by TLS or from this machine.
  const { clipboard } = navigator as { clipboard?: Clipboard }
  if (clipboard === undefined) return null
  const copy = (): void =>
    void clipboard.writeText(text).then(
      () => setTold('copied'),
      () => setTold('the browser does not allow it'),
    )
  return (
    <button type="button" class="small" aria-label={`Copy the ${what}`} onClick={copy}>
      <span role="status">{told || 'copy'}</span>
    </button>
  )
}
