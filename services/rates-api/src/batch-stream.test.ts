import { once } from 'node:events'
import { afterAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { BatchStream } from './batch-stream.ts'

const open: BatchStream[] = []
afterAll(() => open.forEach((stream) => stream.destroy()))
let ends = 0
function start(options: { beat?: number; stalledBeats?: number } = {}): BatchStream {
  ends = 0
  const stream = new BatchStream({ onEnd: () => ends++, ...options })
  open.push(stream)
  return stream
}

const batch = (no: number, text = ''): { no: bigint; json: string } => ({
  no: BigInt(no),
  json: JSON.stringify({ no, text }),
})

/** What a reader takes that does not stop. */
function readAll(stream: BatchStream): { text: string } {
  const read = { text: '' }
  stream.on('data', (piece: Buffer) => (read.text += piece.toString()))
  return read
}

/** A reader takes what there is, once, as far as it goes. */
const takeOnce = (stream: BatchStream): string => String((stream.read() as Buffer | null) ?? '')

describe('a stream of batches', () => {
  it('tells when to connect again, batches, that it is ready, and its end', async () => {
    const stream = start()
    stream.tell([batch(1), batch(2)])
    stream.tellReady()
    stream.tell([batch(1, 'again')])
    const read = readAll(stream)
    stream.tellEnd()
    stream.tell([batch(3)])
    await once(stream, 'close')
    expect(read.text.split('\n\n')).toEqual([
      'retry: 1000',
      'event: batch\ndata: {"no":1,"text":"again"}', // nobody had taken the one before
      'event: batch\ndata: {"no":2,"text":""}',
      'event: ready\ndata: {}',
      'event: end\ndata: {}',
      '',
    ])
    expect(ends).toBe(1)
  })

  it('keeps the latest state of each batch for a reader that is slow', async () => {
    const stream = start()
    const text = 'x'.repeat(1000)
    for (let round = 0; round < 1000; round++) {
      stream.tell(Array.from({ length: 10 }, (_, i) => batch(i, `${round} ${text}`)))
    }
    expect(stream.readableLength).toBe(0) // a megabyte and more was told, and nothing is buffered
    const taken = takeOnce(stream)
    expect(taken.match(/event: batch/g)).toHaveLength(10)
    expect(taken.match(/"999 x/g)).toHaveLength(10)
  })

  it('hands over no more than a piece before the reader takes it', async () => {
    const stream = start()
    const text = 'x'.repeat(10_000)
    stream.tell(Array.from({ length: 1000 }, (_, i) => batch(i, text)))
    stream.read(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(stream.readableLength).toBeGreaterThan(0)
    expect(stream.readableLength).toBeLessThan(100_000)
  })

  it('ends for a reader for whom too many batches wait, and says when to come again', async () => {
    const stream = start()
    for (let round = 0; round < 3; round++) {
      stream.tell(Array.from({ length: 4000 }, (_, i) => batch(round * 4000 + i)))
    }
    const read = readAll(stream)
    await once(stream, 'close')
    expect(read.text).toBe('retry: 1000\n\n')
  })

  it('lets a reader go that does not take even its end', async () => {
    const stream = start()
    const text = 'x'.repeat(100_000)
    stream.read(0)
    stream.tell([batch(1, text)])
    stream.finish()
    await once(stream, 'close')
    expect(ends).toBe(1)
  })

  it('shows that it is there, and ends for a reader that takes nothing for long', async () => {
    const stream = start({ beat: 5, stalledBeats: 3 })
    const read = readAll(stream)
    await eventually(() => Promise.resolve(read.text.startsWith(`retry: 1000\n\n${':\n\n'.repeat(8)}`)), { every: 1 })
    expect(stream.destroyed).toBe(false)
    stream.pause()
    const text = 'x'.repeat(100_000)
    stream.tell([batch(1, text)]) // fills what is between
    stream.tell([batch(2, text)])
    await once(stream, 'close')
    expect(ends).toBe(1)
  })
})
