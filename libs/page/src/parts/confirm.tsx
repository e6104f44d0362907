import { type ComponentChildren, type JSX } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../api.ts'
import { Refusal } from './notes.tsx'

export interface ConfirmProps {
  title: string
  /** On the button that does it. */
  action: string
  danger?: boolean
  /** What it will do. */
  children: ComponentChildren
  /** @throws ApiProblem, which is told in the dialog */
  act(): Promise<void>
  onClose(): void
}

/** Asks before something is done: Enter does it, Escape does not. The focus returns to where it was. */
export function Confirm({ title, action, danger = false, children, act, onClose }: ConfirmProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const confirm = useRef<HTMLButtonElement>(null)
  const [acting, setActing] = useState(false)
  const [refusal, setRefusal] = useState<string>()
  useLayoutEffect(() => {
    const element = dialog.current!
    element.showModal()
    confirm.current?.focus()
    return () => {
      element.close()
      // The button that opened it may be gone by what was done.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true })
      })
    }
  }, [])
  const go = async (): Promise<void> => {
    setActing(true)
    setRefusal(undefined)
    try {
      await act()
      onClose()
    } catch (error) {
      setRefusal(messageOf(error))
      setActing(false)
    }
  }
  return (
    <dialog
      ref={dialog}
      aria-labelledby="confirm-title"
      onCancel={(event) => {
        event.preventDefault()
        if (!acting) onClose()
      }}
      // A key that is held down since it opened the dialog is no answer to it.
      onKeyDown={(event) => event.repeat && event.key === 'Enter' && event.preventDefault()}
    >
      <h2 id="confirm-title">{title}</h2>
      {children}
      {refusal !== undefined && <Refusal>{refusal}</Refusal>}
      <p class="buttons">
        <button
          ref={confirm}
          type="button"
          class={danger ? 'main danger' : 'main'}
          disabled={acting}
          onClick={() => void go()}
        >
          {acting ? 'Asking the service…' : action}
        </button>
        <button type="button" disabled={acting} onClick={onClose}>
          Back
        </button>
      </p>
    </dialog>
  )
}
