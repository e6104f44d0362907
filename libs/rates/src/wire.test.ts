import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readEnvelope, readHeaders, writeChunkHeaders, type ChunkHeaders, type Envelope } from './wire.ts'

const read = (headers: Record<string, string>): Envelope => readEnvelope(new Map(Object.entries(headers)))
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/)
const printable = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((s) => !/[\u0000-\u001f\u007f]/.test(s))

const chunkHeaders: fc.Arbitrary<ChunkHeaders> = fc
  .record({
    batch: fc.record({
      batchId: id,
      source: optional(printable),
      replaces: optional(id),
      deadline: optional(
        fc
          .date({ min: new Date(0), max: new Date('2199-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString()),
      ),
      onDeadline: optional(fc.constantFrom('fail' as const, 'flag' as const)),
      replyTo: optional(fc.stringMatching(/^[A-Za-z0-9._-]{1,249}$/)),
      correlationId: optional(printable),
      dryRun: fc.boolean(),
      traceparent: optional(fc.constant('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')),
    }),
    total: fc.integer({ min: 1, max: 100_000 }),
    at: fc.nat(99_999),
    last: fc.boolean(),
    progress: optional(fc.integer({ min: 1, max: 1_000_000 }).map((n) => n / 1e6)),
    rows: optional(fc.integer({ min: 0, max: 32_767 })),
    sha256: optional(fc.stringMatching(/^[0-9a-f]{64}$/)),
    contentType: fc.constantFrom('text/csv' as const, 'application/x-ndjson' as const),
    contentEncoding: fc.constantFrom('identity' as const, 'gzip' as const, 'zstd' as const),
  })
  .map(({ total, at, last, ...rest }) => ({ ...rest, chunk: at % total, chunks: last ? total : undefined }))

describe('readEnvelope', () => {
  it('reads what writeChunkHeaders wrote', () => {
    fc.assert(
      fc.property(chunkHeaders, (headers) => {
        expect(read(writeChunkHeaders(headers))).toEqual({ kind: 'chunk', ...headers })
      }),
    )
  })

  const chunk = { 'batch-id': 'b1', chunk: '0', 'content-type': 'text/csv' }

  it.each([
    [{ ...chunk, 'batch-id': 'a b' }, 'batch-id'],
    [{ ...chunk, 'batch-id': 'x'.repeat(129) }, 'batch-id'],
    [{ ...chunk, chunk: '-1' }, 'chunk'],
    [{ ...chunk, chunk: '1.5' }, 'chunk'],
    [{ ...chunk, chunk: '100000' }, 'chunk'],
    [{ ...chunk, chunk: '3', chunks: '3' }, 'chunk'],
    [{ ...chunk, chunks: '0' }, 'chunks'],
    [{ ...chunk, progress: '0.0' }, 'progress'],
    [{ ...chunk, progress: '1.01' }, 'progress'],
    [{ ...chunk, progress: '25 %' }, 'progress'],
    [{ ...chunk, rows: '32768' }, 'rows'],
    [{ ...chunk, sha256: 'abc' }, 'sha256'],
    [{ ...chunk, 'content-type': 'text/plain' }, 'content-type'],
    [{ ...chunk, 'content-type': 'application/json' }, 'content-type'],
    [{ ...chunk, 'content-encoding': 'br' }, 'content-encoding'],
    [{ ...chunk, deadline: '2026-11-21 08:00' }, 'deadline'],
    [{ ...chunk, deadline: '2026-13-21T08:00:00Z' }, 'deadline'],
    [{ ...chunk, 'on-deadline': 'explode' }, 'on-deadline'],
    [{ ...chunk, 'reply-to': 'no topic!' }, 'reply-to'],
    [{ ...chunk, source: '' }, 'source'],
    [{ ...chunk, 'dry-run': 'yes' }, 'dry-run'],
    [{ ...chunk, control: 'stop' }, 'control'],
    [{ chunk: '0', 'content-type': 'text/csv' }, 'batch-id'],
    [{ 'batch-id': 'b1', chunk: '0' }, 'content-type'],
    [{ control: 'cancel' }, 'batch-id'],
  ])('tells what is wrong with %j', (headers, header) => {
    expect(read(headers as Record<string, string>)).toMatchObject({ kind: 'fault', header })
  })

  it('knows the sender of a record that is wrong elsewhere', () => {
    expect(read({ ...chunk, rows: 'x', 'reply-to': 'mine' })).toMatchObject({
      kind: 'fault',
      batchId: 'b1',
      replyTo: 'mine',
    })
  })

  it('takes a record without headers for a whole batch that is not addressed', () => {
    expect(read({})).toMatchObject({ kind: 'whole', addressed: false })
    expect(read({ 'batch-id': 'b1' })).toMatchObject({ kind: 'whole', addressed: true })
  })

  it('reads a cancellation', () => {
    expect(read({ control: 'cancel', 'batch-id': 'b1', source: 'acme' })).toMatchObject({
      kind: 'cancel',
      batch: { batchId: 'b1', source: 'acme', dryRun: false },
    })
  })

  it('reads a request to revert', () => {
    const headers = {
      control: 'revert',
      'batch-id': 'b1',
      'reply-to': 'team',
      'correlation-id': 'c',
      'dry-run': 'true',
    }
    expect(read(headers)).toMatchObject({
      kind: 'revert',
      batch: { batchId: 'b1', replyTo: 'team', correlationId: 'c', dryRun: true },
    })
    expect(read({ control: 'revert' })).toMatchObject({ kind: 'fault', header: 'batch-id' })
  })

  it.each(['a\0b', 'a\ud83d', 'x'.repeat(201), ''])('takes no source of %j', (source) => {
    expect(read({ source })).toMatchObject({ kind: 'fault', header: 'source' })
  })

  it('counts characters, whatever they are', () => {
    expect(read({ source: '😀'.repeat(200) })).toMatchObject({ batch: { source: '😀'.repeat(200) } })
    expect(read({ source: '😀'.repeat(201) })).toMatchObject({ kind: 'fault' })
  })

  it('never throws on any headers', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...Object.keys(chunk), 'chunks', 'rows', 'deadline', 'control'), fc.string()),
        (headers) => void read(headers),
      ),
    )
  })
})

describe('readHeaders', () => {
  it('gives those of the names that are right, and the first fault', () => {
    const headers = new Map([
      ['source', 'a\0b'],
      ['correlation-id', 'x'.repeat(1_000)],
      ['reply-to', 'team'],
      ['dry-run', 'true'],
    ])
    const { right, fault } = readHeaders(headers, ['traceparent', 'correlation-id', 'source', 'reply-to'])
    expect(right).toEqual({ 'reply-to': 'team' })
    expect(fault).toMatchObject({ header: 'correlation-id', value: 'x'.repeat(100) })
    expect(readHeaders(headers, ['dry-run'])).toEqual({ right: { 'dry-run': 'true' }, fault: undefined })
  })
})
