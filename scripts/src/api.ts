import { CommandFailure, EXIT } from './exit.ts'

const ANSWER_MILLISECONDS = 30_000

/**
 * Reads a JSON document of the API; undefined: there is no such thing (404).
 * @throws CommandFailure that says what is wrong, with the API's own words if it has any; its cause is that document
 */
export function readApi<T>(url: string, path: string, signal?: AbortSignal): Promise<T | undefined> {
  return callApi<T>('GET', url, path, signal)
}

interface Body {
  content: Uint8Array<ArrayBuffer>
  type: string
}

/** Asks the API to do something; its answer as of readApi. */
export function postApi<T>(url: string, path: string, body?: Body): Promise<T | undefined> {
  return callApi<T>('POST', url, path, undefined, body)
}

async function callApi<T>(
  method: 'GET' | 'POST',
  url: string,
  path: string,
  signal?: AbortSignal,
  body?: Body,
): Promise<T | undefined> {
  const limit = AbortSignal.timeout(ANSWER_MILLISECONDS)
  let answer: Response
  let text: string
  try {
    answer = await fetch(url + path, {
      method,
      headers: { accept: 'application/json', ...(body && { 'content-type': body.type }) },
      ...(body && { body: body.content }),
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
  const problem = problemOf(text)
  const said = problem?.detail ?? problem?.title ?? text.slice(0, 200)
  // Refused by what the ledger says: that is all there is to tell.
  if (answer.status === 409) throw new CommandFailure(code, said, problem)
  throw new CommandFailure(code, `The API at ${url} answers ${answer.status}: ${said}`, problem)
}

/** fetch says only that it failed; why is in the cause, of which there may be one for each address. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return inner instanceof Error ? inner.message : (error as Error).message
}

/** The API's own words (RFC 9457), which are the failure's cause. */
function problemOf(text: string): { detail?: string; title?: string } | undefined {
  try {
    return JSON.parse(text) as object
  } catch {
    return undefined
  }
}
