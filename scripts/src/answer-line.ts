import { type ClaimCheck } from '@rates/core/claim-check'
import { type Answer } from './answer-inbox.ts'

/** An answer as a line of JSON tells it. */
export interface AnswerLine {
  /** The number of the query's line. */
  line?: number
  /** Undefined: there was no answer. */
  status?: number
  contentType?: string
  body?: Uint8Array
  /** Where the body is that is not here. */
  claim?: ClaimCheck
  /** Why something is missing. */
  error?: string
}

/** One line; a JSON body stands in it as it came, to the last digit, and any other as text. */
export function asLine({ line, status, contentType = '', body, claim, error }: AnswerLine): string {
  const fields: [name: string, json: string | undefined][] = [
    ['line', line === undefined ? undefined : String(line)],
    ['status', status === undefined ? 'null' : String(status)],
    ['contentType', contentType === '' ? undefined : JSON.stringify(contentType)],
    ['body', body && bodyOf(contentType, Buffer.from(body).toString())],
    ['claim', claim && JSON.stringify(claim)],
    ['error', error === undefined ? undefined : JSON.stringify(error)],
  ]
  return `{${fields.flatMap(([name, json]) => (json === undefined ? [] : [`"${name}":${json}`])).join()}}`
}

function bodyOf(contentType: string, text: string): string {
  if (!/^application\/([\w.-]+\+)?json\b/.test(contentType) || !isJson(text)) return JSON.stringify(text)
  // A line break of a JSON text stands between its tokens: in strings it is escaped.
  return text.replaceAll(/[\r\n]/g, ' ')
}

/** The words of an answer that is none. */
export function problemOf({ value }: Answer): string {
  const text = Buffer.from(value).toString()
  if (!isJson(text)) return text
  const { detail, title } = (JSON.parse(text) ?? {}) as { detail?: unknown; title?: unknown }
  return typeof detail === 'string' ? detail : typeof title === 'string' ? title : text
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
