import { useCallback, useEffect, useState } from 'preact/hooks'
import { readJson } from './api.ts'

export interface Answer<T> {
  /** What came last, which may be the answer to an earlier question while `busy`. */
  data: T | undefined
  error: unknown
  busy: boolean
  askAgain(): void
}

/** The answer to a GET, asked anew with each other path; null asks nothing. Answers that come too late are ignored. */
export function useAnswer<T>(path: string | null): Answer<T> {
  const [tries, setTries] = useState(0)
  const [{ of, data, error }, set] = useState<{ of: string | null; data: T | undefined; error: unknown }>(NOTHING)
  const question = path === null ? null : `${tries} ${path}`
  useEffect(() => {
    if (path === null) return set(NOTHING)
    const late = new AbortController()
    readJson<T>(path, late.signal).then(
      (answer) => !late.signal.aborted && set({ of: question, data: answer, error: undefined }),
      (fault: unknown) => !late.signal.aborted && set({ of: question, data: undefined, error: fault }),
    )
    return () => late.abort()
  }, [question])
  const askAgain = useCallback(() => setTries((n) => n + 1), [])
  return { data, error, busy: question !== of, askAgain }
}

const NOTHING = { of: null, data: undefined, error: undefined }
