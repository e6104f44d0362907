import { STATUS_CODES } from 'node:http'

/** An answer that says what is wrong, as RFC 9457 has it. */
export interface ProblemDocument {
  type: string
  title: string
  status: number
  detail?: string
  [extension: string]: unknown
}

/** Thrown anywhere below a route; ProblemFilter turns it into the answer. */
export class Problem extends Error {
  readonly status: number
  readonly extensions: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    detail: string,
    more: { extensions?: Readonly<Record<string, unknown>>; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail)
    this.name = 'Problem'
    this.status = status
    this.extensions = more.extensions ?? {}
    this.headers = more.headers ?? {}
  }
}

export function problemDocument(problem: { status: number; message: string; extensions?: object }): ProblemDocument {
  const { status, message, extensions } = problem
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail: message, ...extensions }
}

/** Whoever asks again reaches another instance. */
export const stopping = (): Problem => new Problem(503, 'The service is stopping.', { headers: { 'retry-after': '2' } })
