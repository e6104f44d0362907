import { type Batch } from '@rates/core/batch'
import { learnTime } from './clock.ts'

/** What the service has refused, in its own words. */
export class ApiProblem extends Error {
  override name = 'ApiProblem'
  readonly status: number
  /** The rest of the problem document. */
  readonly more: Readonly<Record<string, unknown>>

  constructor(status: number, message: string, more: Record<string, unknown> = {}) {
    super(message)
    this.status = status
    this.more = more
  }
}

export interface BatchPage {
  batches: Batch[]
  nextCursor: string | null
}

/** Paths are relative to where the service begins. @throws ApiProblem, or an error if nothing answers */
export const readJson = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>('GET', path, signal)

export const postJson = <T>(path: string): Promise<T> => ask<T>('POST', path)

async function ask<T>(method: 'GET' | 'POST', path: string, signal?: AbortSignal): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(path, { method, headers: { accept: 'application/json' }, ...(signal && { signal }) })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiProblem(0, 'The service does not answer.')
  }
  learnTime(answer.headers.get('date'))
  return readAnswer<T>(answer.status, answer.statusText, await answer.text())
}

/** @throws ApiProblem */
export function readAnswer<T>(status: number, title: string, text: string): T {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw new ApiProblem(status, title || `The service answered with status ${status}.`)
  }
  if (status >= 200 && status < 300) return body as T
  const problem = body as { title?: string; detail?: string } & Record<string, unknown>
  throw new ApiProblem(status, problem.detail ?? problem.title ?? title, problem)
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
