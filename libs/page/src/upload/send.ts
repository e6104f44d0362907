import { ApiProblem, readAnswer } from '../api.ts'
import { contentType, type FileKind } from './file-kind.ts'

/** As `POST /batches` answers. */
export interface Accepted {
  id: string
  rows: number
}

/**
 * Sends a file as it is. Only XMLHttpRequest tells how far it is. Aborted, it breaks the connection, by which the service
 * cancels the batch. @throws ApiProblem
 */
export function send(
  path: string,
  file: File,
  kind: FileKind,
  { onSent, signal }: { onSent(bytes: number): void; signal: AbortSignal },
): Promise<Accepted> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', path)
    request.setRequestHeader('accept', 'application/json')
    request.setRequestHeader('content-type', contentType(kind))
    if (kind.encoding !== 'identity') request.setRequestHeader('content-encoding', kind.encoding)
    request.upload.onprogress = ({ loaded }) => onSent(loaded)
    request.onload = () => {
      try {
        resolve(readAnswer<Accepted>(request.status, request.statusText, request.responseText))
      } catch (error) {
        const retryAfter = request.getResponseHeader('retry-after')
        reject(
          error instanceof ApiProblem && retryAfter !== null ? withRetryAfter(error, retryAfter) : (error as Error),
        )
      }
    }
    request.onerror = () => reject(new ApiProblem(0, 'The service does not answer.'))
    request.onabort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
}

const withRetryAfter = ({ status, message, more }: ApiProblem, retryAfter: string): ApiProblem =>
  new ApiProblem(status, message, { ...more, retryAfter })
