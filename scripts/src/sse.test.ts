import { describe, expect, it } from '@jest/globals'
import { EventReader, type ServerEvent } from './sse.ts'

const read = (...pieces: string[]): ServerEvent[] => {
  const reader = new EventReader()
  return pieces.flatMap((piece) => reader.push(piece))
}

describe('EventReader', () => {
  it('reads events, their names and data of several lines', () => {
    expect(read('event: batch\ndata: {"a":\ndata: 1}\n\ndata:x\n\ndata\n\n')).toEqual([
      { event: 'batch', data: '{"a":\n1}' },
      { event: 'message', data: 'x' },
      { event: 'message', data: '' },
    ])
  })

  it('takes one space away behind the colon, and leaves other colons alone', () => {
    expect(read('data:  a: b\n\n')).toEqual([{ event: 'message', data: ' a: b' }])
  })

  it('leaves comments, unknown fields and events without data out; a name holds for one event', () => {
    expect(read(': alive\n\n:\nid: 7\nfoo: bar\nevent: batch\n\ndata: x\n\n')).toEqual([
      { event: 'message', data: 'x' },
    ])
  })

  it.each([
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['CR', '\r'],
  ])('reads lines that end with %s, wherever they are cut', (_, end) => {
    const text = ['event: end', 'data: a', 'data: b', '', ': x', 'data: c', '', ''].join(end)
    const expected = [
      { event: 'end', data: 'a\nb' },
      { event: 'message', data: 'c' },
    ]
    for (let at = 0; at <= text.length; at++) expect(read(text.slice(0, at), text.slice(at))).toEqual(expected)
    expect(read(...text)).toEqual(expected)
    expect(read(...[...text].flatMap((character) => ['', character]))).toEqual(expected)
  })

  it('keeps an event that has not ended to itself', () => {
    expect(read('data: x\n')).toEqual([])
  })

  it('knows when to ask again', () => {
    const reader = new EventReader()
    expect(reader.push('retry: 1000\nretry: soon\n\n')).toEqual([])
    expect(reader.retryMs).toBe(1000)
  })
})
