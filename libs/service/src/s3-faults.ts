import {
  addressOf,
  isTransientOfStore,
  NoSuchObject,
  ObjectChanged,
  StoreFault,
  StoreRefused,
  type ObjectPlace,
} from './object-store.ts'

/** For what a request of the SDK throws. */
export const explain =
  (place: ObjectPlace, versionId?: string) =>
  (error: unknown): never => {
    throw faultOf(error, place, versionId)
  }

export function faultOf(thrown: unknown, place: ObjectPlace, versionId?: string): Error {
  for (const known of [NoSuchObject, ObjectChanged, StoreRefused, StoreFault])
    if (thrown instanceof known) return thrown
  const error = unwrapped(thrown)
  const address = addressOf(place)
  // By its shape: an error of Node's own is no instance of a sandbox's Error.
  const { name = '', $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode
  if (name === 'NoSuchBucket') return new NoSuchObject(`bucket ${place.bucket}`, error)
  if (status === 404 && name !== 'NoSuchUpload') {
    return new NoSuchObject(versionId === undefined ? address : `version ${versionId} of ${address}`, error)
  }
  if (status === 412) return new ObjectChanged(place, error)
  if (status === 401 || status === 403) return new StoreRefused(address, isWord(name) ? name : String(status), error)
  // There are no keys to ask it with: neither settings nor the machine's identity give any.
  if (name === 'CredentialsProviderError') return new StoreRefused(address, `${name}: ${wordsOf(error)}`, error)
  return new StoreFault(address, wordsOf(error, status), isTransientOfStore(error), error)
}

/** What is no instance of its Error, as Node's own errors in a sandbox, comes from the SDK in these words, without its code. */
function unwrapped(error: unknown): unknown {
  const [, message] = /^AWS SDK error wrapper for (.*)/s.exec((error as Error).message) ?? []
  if (message === undefined) return error
  return Object.assign(new Error(message, { cause: error }), { code: /\bE[A-Z_]{4,}\b/.exec(message)?.[0] })
}

function wordsOf(error: unknown, status?: number): string {
  // A refused connection to both addresses of a host is an AggregateError without a message.
  const { name = '', message = '' } = ((error as AggregateError).errors?.[0] ?? error) as Partial<Error>
  const words = message.replace('@smithy/node-http-handler - ', '')
  return status === undefined ? words || name : `${isWord(name) ? `${name}: ` : ''}${words} (HTTP status ${status})`
}

/** What the SDK calls an answer without a body. */
const isWord = (name: string): boolean => !/^(\d+|Unknown|UnknownError|Error|)$/.test(name)

/** Ends the wait with an abort, whatever the work itself makes of it. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
