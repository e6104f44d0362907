import { ApiProblem } from '../api.ts'
import { type Fault, type Step } from './machine.ts'

const WHAT: Record<Step, string> = { check: 'Nothing was checked', load: 'Nothing of it is visible' }

export const STOPPED: Record<Step, Fault> = {
  check: { message: 'The check was stopped.' },
  load: { message: `The load was stopped. ${WHAT.load}.` },
}

/** The file was changed, moved or deleted after it was chosen. */
export const UNREADABLE: Fault = {
  message: 'The file cannot be read any more: it was changed, moved or deleted since it was chosen. Choose it again.',
}

/** Of a load that was tried again under the id of the one before, which may have come. */
const STILL_OPEN =
  'There is its batch already, of the upload whose answer was lost. It must end first: wait, or cancel it.'

/** `unsureId` is that of an upload without an answer, which was tried again. */
export function faultOfRetry(error: unknown, step: Step, unsureId: string | undefined): Fault {
  const fault = faultOf(error, step)
  const isItself = unsureId !== undefined && fault.batch === unsureId
  return isItself ? { message: STILL_OPEN, batch: unsureId, unknown: true } : fault
}

/** What the answer to an upload means for a person. */
export function faultOf(error: unknown, step: Step): Fault {
  if (!(error instanceof ApiProblem)) return { message: String(error) }
  const { status, message, more } = error
  switch (status) {
    case 0:
      return { message: 'The connection broke before the service had said that it has all of the file.', unknown: true }
    case 408:
      return { message: `The connection was too slow. ${sentence(message)} ${WHAT[step]}.` }
    case 409: {
      const batch = idOf(more['batch'])
      return batch === undefined
        ? { message }
        : { message: `There is a batch ${batch} already: choose another id.`, batch }
    }
    case 413:
      return { message: `The file is too large for the service. ${sentence(message)}` }
    case 415:
      return { message: `The service does not take such a file. ${sentence(message)}` }
    case 502:
    case 503:
    case 504: {
      const seconds = Number(more['retryAfter'])
      const when = seconds > 0 ? `Try again in ${seconds} s.` : 'Try again in a while.'
      return { message: `The service cannot take it now. ${sentence(message)} ${when}` }
    }
    default:
      return { message: status >= 500 ? `The service has a fault. ${sentence(message)} ${WHAT[step]}.` : message }
  }
}

/** Of a link to a batch. */
function idOf(link: unknown): string | undefined {
  const found = typeof link === 'string' ? /\/batches\/([^/?]+)/.exec(link)?.[1] : undefined
  return found === undefined ? undefined : decodeURIComponent(found)
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)
