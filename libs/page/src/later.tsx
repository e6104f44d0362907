import { type ComponentType, type JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** A view whose script is loaded when it is shown for the first time. */
export function later<Props extends object>(load: () => Promise<ComponentType<Props>>): (props: Props) => JSX.Element {
  let loaded: ComponentType<Props> | undefined
  return function Later(props) {
    const [, redraw] = useState(false)
    const [failed, setFailed] = useState(false)
    useEffect(() => {
      if (loaded !== undefined) return
      load().then(
        (view) => {
          loaded = view
          redraw(true)
        },
        () => setFailed(true),
      )
    }, [])
    const View = loaded
    if (View !== undefined) return <View {...props} />
    if (!failed) return <p class="note">Asking…</p>
    return (
      <p class="refusal" role="alert">
        This part of the page could not be loaded; the service may have a newer version of it.{' '}
        <button type="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </p>
    )
  }
}
