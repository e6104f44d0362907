import { useEffect, useRef } from 'preact/hooks'

/** What a key means; the result tells whether it was meant for the view. */
export type KeyHandler = (key: string, target: Element | null) => boolean

/** Keys for the whole view, but while a dialog is open or another key is held that makes them the browser's. */
export function useKeys(handler: KeyHandler): void {
  const latest = useRef(handler)
  latest.current = handler
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
      if (document.querySelector('dialog[open]') !== null) return
      if (latest.current(event.key, event.target instanceof Element ? event.target : null)) event.preventDefault()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
}

export const isField = (target: Element | null): boolean => target?.matches('input, select, textarea') ?? false
