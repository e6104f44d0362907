import { BETWEEN, wordsOf as wordsAsWritten } from '@rates/core/words'

/** Batches are found by the service, which lowers the words of both; here what it has found is found again. */
export const wordsOf = (text: string): string[] => wordsAsWritten(text.toLowerCase())

/** Whether each word of `query` is the beginning of one of the texts' words. */
export function finds(query: string, texts: readonly (string | null | undefined)[]): boolean {
  const words = wordsOf(texts.filter((text) => text !== null && text !== undefined).join(' '))
  return wordsOf(query).every((asked) => words.some((word) => word.startsWith(asked)))
}

export interface Piece {
  text: string
  /** Whether it was asked for. */
  found: boolean
}

/** The text cut where a word of the query begins and ends. */
export function mark(text: string, query: string): Piece[] {
  const asked = wordsOf(query).sort((a, b) => b.length - a.length)
  const pieces: Piece[] = []
  const add = (part: string, found: boolean): void => {
    if (part === '') return
    const last = pieces.at(-1)
    if (last?.found === found) last.text += part
    else pieces.push({ text: part, found })
  }
  for (const part of text.split(new RegExp(`(${BETWEEN.source})`))) {
    const length = asked.find((word) => part.toLowerCase().startsWith(word))?.length ?? 0
    add(part.slice(0, length), true)
    add(part.slice(length), false)
  }
  return pieces
}
