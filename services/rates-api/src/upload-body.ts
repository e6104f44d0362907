import { type IncomingMessage } from 'node:http'
import { type Socket } from 'node:net'
import { MAX_RATIO } from '@rates/core/limits'
import { BadEncoding, refuseCompressed } from '@rates/service/compression'
import { decompressStream } from '@rates/service/decompress-stream'
import { Problem } from './problem.ts'

export const ENCODINGS = ['identity', 'gzip', 'zstd'] as const
export type Encoding = (typeof ENCODINGS)[number]

export interface BodyLimits {
  /** Of the content; where it is decompressed, of what becomes of it. */
  maxBytes: number
  /** Time without a byte after which the caller counts as gone. */
  idleMs: number
}

export interface WholeLimits extends BodyLimits {
  /** Time in which all of it is to come, or it could trickle for ever. */
  wholeMs: number
}

/** Below this the ratio does not matter: a small file of equal rows shrinks to nothing. */
const RATIO_FROM_BYTES = 16 << 20

/**
 * The content of an upload as it comes, decompressed, in constant memory. Whatever is wrong with it is thrown as the
 * Problem to answer with; so is the reason of `signal`. The request itself is never destroyed: its caller shall still
 * read the answer. `received` counts the bytes as they came.
 */
export async function* readBody(
  request: IncomingMessage,
  encoding: Encoding,
  limits: BodyLimits,
  signal: AbortSignal,
  received = { bytes: 0 },
): AsyncGenerator<Uint8Array> {
  const raw = receive(request, limits.idleMs, signal, received)
  let total = 0
  try {
    for await (const piece of encoding === 'identity' ? raw : decompressStream(raw, encoding)) {
      if (total === 0) refuseCompressed(piece, encoding)
      total += piece.byteLength
      if (total > limits.maxBytes) throw new Problem(413, `The content has more than ${limits.maxBytes} bytes.`)
      if (total > RATIO_FROM_BYTES && total > received.bytes * MAX_RATIO) {
        throw new Problem(413, `The content is more than ${MAX_RATIO} times as large as what was sent.`)
      }
      yield piece
    }
  } catch (error) {
    if (error instanceof BadEncoding) throw new Problem(400, `The content cannot be read: ${error.message}.`)
    throw error
  }
}

/**
 * The whole content as it comes, which is no more than `maxBytes`: what is larger is refused by what its length says, or
 * else when the first byte too many has come. @throws Problem as readBody
 */
export async function readBytes(
  request: IncomingMessage,
  { maxBytes, idleMs, wholeMs }: WholeLimits,
  signal: AbortSignal,
  received = { bytes: 0 },
): Promise<Buffer> {
  const tooLarge = (): Problem => new Problem(413, `The content has more than ${maxBytes} bytes.`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const late = new AbortController()
  const problem = new Problem(408, `The content took longer than ${wholeMs / 1000} seconds.`)
  const timer = setTimeout(() => late.abort(problem), wholeMs)
  const pieces: Uint8Array[] = []
  let total = 0
  try {
    for await (const piece of receive(request, idleMs, AbortSignal.any([signal, late.signal]), received)) {
      total += piece.byteLength
      if (total > maxBytes) throw tooLarge()
      pieces.push(piece)
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(pieces)
}

/** The bytes as they come. They are asked for one piece at a time: a slow broker does not fill our memory. */
async function* receive(
  request: IncomingMessage,
  idleMs: number,
  signal: AbortSignal,
  received: { bytes: number },
): AsyncGenerator<Uint8Array> {
  // Not the stream's own iterator: it would destroy the request, and the connection with it, where we stop early.
  let piece: Uint8Array | undefined
  let ended = false
  let fault: Error | undefined
  let wake: () => void = () => undefined
  const onData = (data: Uint8Array): void => {
    piece = data
    request.pause()
    wake()
  }
  const onEnd = (): void => {
    ended = true
    wake()
  }
  const onClose = (): void => {
    if (!request.complete) fault ??= new Problem(400, 'The connection broke before the end of the content.')
    wake()
  }
  const onAbort = (): void => {
    fault ??= signal.reason as Error
    wake()
  }
  request.on('data', onData).once('end', onEnd).once('close', onClose).on('error', onClose)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    for (;;) {
      request.resume()
      if (piece === undefined && !ended && fault === undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            fault ??= new Problem(408, `Nothing came for ${idleMs / 1000} seconds.`)
            resolve()
          }, idleMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      if (fault !== undefined) throw fault
      if (piece !== undefined) {
        const taken: Uint8Array = piece
        piece = undefined
        received.bytes += taken.byteLength
        yield taken
      } else if (ended) return
    }
  } finally {
    request.off('data', onData).off('end', onEnd).off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

/** How long the rest of a refused upload is read, so that its caller gets to the answer. */
const LINGER_MS = 5000

/** By connection: one for each request would be as many listeners as a caller is refused by one connection. */
const lingering = new WeakMap<Socket, NodeJS.Timeout>()

/** Lets the rest of a request run into nothing; ends its connection if that takes long. */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) return
  const { socket } = request // the request itself hears of nothing any more once it is answered
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy()
  }, LINGER_MS).unref()
  if (!lingering.has(socket)) socket.once('close', () => clearTimeout(lingering.get(socket)))
  clearTimeout(lingering.get(socket)) // that request is at its end, or this one would not have begun
  lingering.set(socket, timer)
  request.resume()
}
