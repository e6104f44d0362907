import { type ContentEncoding } from '@rates/core/wire'
import { BadEncoding, decompress } from '@rates/service/compression'
import { type IncomingRecord } from '@rates/service/kafka'
import { count } from '../progress.ts'
import { indent, plural, printable, table, utc } from '../text.ts'
import { REDRIVEN_FROM, type Letter } from './letter.ts'

const SHOWN_LINES = 20
const SHOWN_CHARACTERS = 160

export function listLetters(letters: readonly Letter[]): string[] {
  return table(
    [
      { title: 'id' },
      { title: 'set aside' },
      { title: 'reason' },
      { title: 'batch' },
      { title: 'bytes', right: true },
      { title: 'detail' },
    ],
    letters.map((letter) => [
      letter.id,
      utc(new Date(letter.at).toISOString()),
      printable(letter.reason, 24),
      letter.batchId === undefined ? '-' : printable(letter.batchId, 44),
      count(letter.bytes),
      printable(letter.detail, 80),
    ]),
  )
}

/** One letter as a page: why it is here, its own headers, the beginning of its value. */
export async function describeLetter(letter: Letter, value: Uint8Array | null): Promise<string[]> {
  const { place, headers } = letter
  const again = headers.get(REDRIVEN_FROM)
  const known: [string, string | undefined][] = [
    ['id', letter.id],
    ['set aside', utc(new Date(letter.at).toISOString())],
    ['reason', printable(letter.reason)],
    ['detail', printable(letter.detail, 1_000)],
    ['was', place && `${printable(place.topic, 249)}, partition ${place.partition}, offset ${place.offset}`],
    ['sent', place && utc(place.time)],
    ['batch', letter.batchId && printable(letter.batchId, 128)],
    ['sent again', again && `from dead letter ${printable(again)}`],
    ['cut', letter.cut && printable(letter.cut)],
    ['value', value === null ? 'none' : plural(letter.bytes, 'byte')],
  ]
  const own = [...headers].map(([name, text]) => [printable(name), printable(text, 200)])
  return [
    ...plain(known.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))),
    '',
    own.length === 0 ? 'It has no headers of its own.' : 'Its own headers:',
    ...indent(plain(own)),
    '',
    ...(value === null || value.length === 0 ? [] : await beginning(value, headers)),
  ]
}

const plain = (rows: string[][]): string[] => table([{ title: '' }, { title: '' }], rows)

async function beginning(value: Uint8Array, headers: ReadonlyMap<string, string>): Promise<string[]> {
  const encoding = headers.get('content-encoding')
  let body: Uint8Array = value
  let how = ''
  if (encoding === 'gzip' || encoding === 'zstd') {
    try {
      body = await decompress(value, encoding satisfies ContentEncoding)
      how = `, unpacked by ${encoding}`
    } catch (error) {
      if (!(error instanceof BadEncoding)) throw error
      how = `, which is no ${encoding}`
    }
  }
  const lines = new TextDecoder().decode(body.subarray(0, 64_000)).split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  const shown = lines.slice(0, SHOWN_LINES).map((line) => (line === '' ? '' : printable(line, SHOWN_CHARACTERS)))
  const rest = lines.length > SHOWN_LINES || body.length > 64_000 ? ['…'] : []
  return [`Its value${how}:`, ...indent([...shown, ...rest])]
}

export function letterJson(letter: Letter, record?: IncomingRecord): object {
  const { headers, place, at, ...rest } = letter
  return {
    ...rest,
    at: new Date(at).toISOString(),
    batchId: letter.batchId ?? null,
    cut: letter.cut ?? null,
    place: place
      ? { topic: place.topic, partition: Number(place.partition), offset: Number(place.offset), time: place.time }
      : null,
    headers: Object.fromEntries(headers),
    ...(record && { valueBase64: record.value && Buffer.from(record.value).toString('base64') }),
  }
}
