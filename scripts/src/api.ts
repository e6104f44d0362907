import { CommandFailure, EXIT } from './exit.ts'

const ANSWER_MILLISECONDS = 30_000

/**
 * Reads a JSON document of the API; undefined: there is no such thing (404).
 * @throws CommandFailure that says what is wrong, with the API's own words if it has any
 */
export async function readApi<T>(url: string, path: string, signal?: AbortSignal): Promise<T | undefined> {
  const limit = AbortSignal.timeout(ANSWER_MILLISECONDS)
  let answer: Response
  let text: string
  try {
    answer = await fetch(url + path, {
      headers: { accept: 'application/json' },
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    })
    text = await answer.text()
  } catch (error) {
    throw new CommandFailure(EXIT.unreachable, `The API at ${url} cannot be reached: ${reasonOf(error)}.`, error)
  }
  if (answer.status === 404) return undefined
  if (answer.ok) {
    try {
      return JSON.parse(text) as T
    } catch (error) {
      throw new CommandFailure(EXIT.unreachable, `What answers at ${url} is not the API: it sends no JSON.`, error)
    }
  }
  const code = answer.status === 400 ? EXIT.usage : answer.status < 500 ? EXIT.refused : EXIT.unreachable
  throw new CommandFailure(code, `The API at ${url} answers ${answer.status}: ${detailOf(text)}`)
}

/** fetch says only that it failed; why is in the cause, of which there may be one for each address. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return inner instanceof Error ? inner.message : (error as Error).message
}

function detailOf(text: string): string {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: string; title?: string }
    return detail ?? title ?? text
  } catch {
    return text.slice(0, 200)
  }
}
