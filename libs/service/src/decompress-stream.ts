import { once } from 'node:events'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { badEncoding, ZSTD_OPTIONS } from './compression.ts'

type Engine = ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>

/**
 * Decompresses a body of any size as it comes, in constant memory: any number of gzip members or zstd frames, and
 * nothing else. Pieces are asked for one at a time, when what the last one became was taken.
 * @throws BadEncoding, which tells what is wrong, and after which byte of what is compressed
 */
export async function* decompressStream(
  pieces: AsyncIterable<Uint8Array>,
  encoding: 'gzip' | 'zstd',
): AsyncGenerator<Uint8Array> {
  const create = (): Engine => {
    const engine = encoding === 'gzip' ? createGunzip() : createZstdDecompress(ZSTD_OPTIONS)
    return engine.on('error', () => undefined) // whoever waits for it is told
  }
  let engine = create()
  let head: Uint8Array = new Uint8Array(0)
  let taken = 0
  try {
    for await (const piece of pieces) {
      if (head.length < 4) head = Buffer.concat([head, piece.subarray(0, 4)])
      for (let rest = piece; rest.length > 0;) {
        const before = engine.bytesWritten
        yield* given(engine, (done) => engine.write(rest, done))
        rest = rest.subarray(engine.bytesWritten - before)
        // zlib ends with a zstd frame that ends within a piece: what follows it is for another engine.
        if (rest.length > 0) {
          engine.destroy()
          engine = create()
        }
      }
      taken += piece.length
    }
    yield* given(engine, () => engine.end())
  } catch (error) {
    throw isOfZlib(error) ? badEncoding(head, encoding, error, taken) : error
  } finally {
    engine.destroy()
  }
}

/** What the engine gives until it has ended, or taken what `feed` puts into it: zlib tells of a broken end after that. */
async function* given(engine: Engine, feed: (done: () => void) => unknown): AsyncGenerator<Uint8Array> {
  const over = new AbortController()
  const end = (): void => over.abort()
  engine.once('end', end)
  feed(end)
  for (;;) {
    const out = engine.read() as Buffer | null
    if (out) yield out
    else if (over.signal.aborted || engine.errored) break
    else await once(engine, 'readable', { signal: over.signal }).catch(end)
  }
  engine.off('end', end)
  if (engine.errored) throw engine.errored
}

const isOfZlib = (error: unknown): boolean => /^Z_|^ZSTD_|^ERR_.*ZSTD/.test((error as { code?: string }).code ?? '')
