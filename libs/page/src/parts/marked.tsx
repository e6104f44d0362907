import { type JSX } from 'preact'
import { mark } from '../words.ts'

/** A text in which the words that were searched for are marked. */
export function Marked({ text, query }: { text: string; query: string }): JSX.Element {
  return (
    <>
      {query.trim() === ''
        ? text
        : mark(text, query).map((piece, i) => (piece.found ? <mark key={i}>{piece.text}</mark> : piece.text))}
    </>
  )
}
