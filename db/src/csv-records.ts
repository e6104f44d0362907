/** A record of a CSV file, or why there is none at this line. */
export interface CsvRecord {
  /** Where it begins, from 1. */
  line: number
  /** Undefined: a quoted field does not end, or text follows its end. */
  fields: string[] | undefined
  /** As it stands in the file, without its line break. */
  text: string
}

/**
 * The records of a CSV text (RFC 4180, LF or CRLF; a byte order mark at the start is no part of it), by the rules that
 * hold for rows of prices: a record ends at the first line break before which quotes are balanced, spaces belong to the
 * fields, the last line break may be missing.
 */
export function* csvRecords(text: string): Generator<CsvRecord> {
  let at = text.startsWith('\ufeff') ? 1 : 0
  let line = 1
  while (at < text.length) {
    const { end, breaks } = recordEnd(text, at)
    const record = text.slice(at, text[end - 1] === '\r' && end > at ? end - 1 : end)
    yield { line, fields: record.includes('"') ? unquote(record) : record.split(','), text: record }
    at = end + 1
    line += breaks + 1
  }
}

/** The first line break outside of quotes, or the end of the text; and the line breaks before it. */
function recordEnd(text: string, start: number): { end: number; breaks: number } {
  let quoted = false
  let breaks = 0
  for (let at = start; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === 0x22) quoted = !quoted
    else if (character === 0x0a) {
      if (!quoted) return { end: at, breaks }
      breaks++
    }
  }
  return { end: text.length, breaks }
}

const QUOTED = /"((?:[^"]|"")*)"(?=,|$)/y
const PLAIN = /[^,]*/y

function unquote(record: string): string[] | undefined {
  const fields: string[] = []
  let at = 0
  for (;;) {
    const form = record[at] === '"' ? QUOTED : PLAIN
    form.lastIndex = at
    const found = form.exec(record)
    if (found === null) return undefined
    fields.push(form === QUOTED ? found[1]!.replaceAll('""', '"') : found[0])
    at = form.lastIndex + 1
    if (at > record.length) return fields
  }
}
