import { CommandFailure, EXIT } from './exit.ts'
import { printable } from './text.ts'

const ANSWER_MILLISECONDS = 30_000

/** What the API says of a request that it does not fulfil, as RFC 9457 has it. */
export interface ProblemDocument {
  status?: number
  title?: string
  detail?: string
  code?: string
  [extension: string]: unknown
}

/** A request that was not fulfilled; its cause is the API's own document, or why no answer came. */
export class ApiFailure extends CommandFailure {
  /** Of the answer; undefined: there was none. */
  readonly status: number | undefined
  readonly problem: ProblemDocument | undefined
  /** After which the API wants to be asked again. */
  readonly retryAfterSeconds: number | undefined
  constructor(
    code: number,
    message: string,
    cause: unknown,
    answer?: { status: number; problem: ProblemDocument | undefined; retryAfter: string | null },
  ) {
    super(code, message, cause)
    this.status = answer?.status
    this.problem = answer?.problem
    this.retryAfterSeconds = secondsOf(answer?.retryAfter ?? null)
  }
}

export interface ApiCall {
  method?: 'GET' | 'POST' | 'PUT'
  headers?: Record<string, string>
  body?: Uint8Array<ArrayBuffer>
  signal?: AbortSignal | undefined
  /** For the whole answer. */
  timeoutMs?: number
}

/**
 * Reads a JSON document of the API; undefined: there is no such thing (404).
 * @throws ApiFailure that says what is wrong, with the API's own words if it has any
 */
export async function readApi<T>(url: string, path: string, signal?: AbortSignal): Promise<T | undefined> {
  return ifThere(callApi<T>(url, path, { signal }))
}

/** Asks the API to do something; its answer as of readApi. */
export function postApi<T>(
  url: string,
  path: string,
  body?: { content: Uint8Array<ArrayBuffer>; type: string },
): Promise<T | undefined> {
  const headers = body && { 'content-type': body.type }
  return ifThere(
    callApi<T>(url, path, { method: 'POST', ...(body && { body: body.content }), ...(headers && { headers }) }),
  )
}

async function ifThere<T>(answer: Promise<{ document: T }>): Promise<T | undefined> {
  try {
    return (await answer).document
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return undefined
    throw error
  }
}

/**
 * Any request that is answered with a JSON document. @throws ApiFailure for every status but 2xx, the signal's reason
 * when it is aborted
 */
export async function callApi<T>(
  url: string,
  path: string,
  call: ApiCall = {},
): Promise<{ status: number; document: T }> {
  const { timeoutMs = ANSWER_MILLISECONDS, signal } = call
  const limit = AbortSignal.timeout(timeoutMs)
  const answer = await openApi(url, path, { ...call, signal: signal ? AbortSignal.any([limit, signal]) : limit })
  let text: string
  try {
    text = await answer.text()
  } catch (error) {
    signal?.throwIfAborted()
    throw unreachable(url, error)
  }
  try {
    return { status: answer.status, document: JSON.parse(text) as T }
  } catch (error) {
    throw notTheApi(url, 'it sends no JSON', error)
  }
}

/** A request whose answer is read by the caller, who has to: it is a good one. @throws as callApi */
export async function openApi(url: string, path: string, call: ApiCall = {}): Promise<Response> {
  const { method = 'GET', headers = {}, body, signal } = call
  let answer: Response
  let text = ''
  try {
    answer = await fetch(url + path, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body && { body }),
      ...(signal && { signal }),
    })
    if (!answer.ok) text = await answer.text()
  } catch (error) {
    // Its own limit is a failure to tell; whoever aborts knows why.
    if (signal?.aborted && (signal.reason as Error).name !== 'TimeoutError') throw signal.reason
    throw unreachable(url, error)
  }
  if (answer.ok) return answer
  throw refusal(url, path, answer, text)
}

function refusal(url: string, path: string, answer: Response, text: string): ApiFailure {
  const { status } = answer
  const problem = problemOf(text)
  const told = { status, problem, retryAfter: answer.headers.get('retry-after') }
  if (status === 404) {
    if (problem?.title === undefined) return notTheApi(url, `it answers 404 to ${path}`)
    if (problem.detail === NO_ROUTE) return notTheApi(url, `it has no ${path.replace(/\?.*/, '')}`, problem)
  }
  const code = status === 400 ? EXIT.usage : status < 500 ? EXIT.refused : EXIT.unreachable
  const said = printable(String(problem?.detail ?? problem?.title ?? text.slice(0, 200)).trim(), 2000)
  // Refused by what the ledger says: that is all there is to tell.
  const message = status === 409 ? said : `The API at ${url} answers ${status}: ${said}`
  return new ApiFailure(code, message, problem, told)
}

/** What the API says of a path that it does not have. */
const NO_ROUTE = 'There is no such route.'

/** Another service, another version, or a path of the URL that leads elsewhere. */
export const notTheApi = (url: string, why: string, cause?: unknown): ApiFailure =>
  new ApiFailure(EXIT.unreachable, `What answers at ${url} is not the API, or not of this version: ${why}.`, cause)

export const unreachable = (url: string, error: unknown): ApiFailure =>
  new ApiFailure(EXIT.unreachable, `The API at ${url} cannot be reached: ${reasonOf(error)}.`, error)

/** fetch says only that it failed; why is in the cause, of which there may be one for each address. */
function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error
  if (name === 'TimeoutError') return 'there was no answer in time'
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return inner instanceof Error && inner.message !== '' ? inner.message : message
}

function problemOf(text: string): ProblemDocument | undefined {
  try {
    const document: unknown = JSON.parse(text)
    return typeof document === 'object' && document !== null ? (document as ProblemDocument) : undefined
  } catch {
    return undefined
  }
}

/** Of a Retry-After: seconds, or a date. */
function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(seconds, 0)
}
