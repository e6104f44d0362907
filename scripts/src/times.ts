const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const DURATION = /^(?:\d+(?:\.\d+)?[smhd])+$/
const TIME = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

/** Seconds of `90s`, `10m`, `1h30m`, `2d`; a bare number is seconds. Undefined for anything else, and for nothing. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) > 0 ? Number(text) : undefined
  if (!DURATION.test(text)) return undefined
  let seconds = 0
  for (const [, number, unit] of text.matchAll(/([\d.]+)([smhd])/g)) {
    seconds += Number(number) * UNITS[unit as keyof typeof UNITS]
  }
  return seconds > 0 ? seconds : undefined
}

/** The wire's form (RFC 3339 in UTC) of a time with any offset, or of a duration from `now` as `+10m`. */
export function parseDeadline(text: string, now: Date): string | undefined {
  if (text.startsWith('+')) {
    const seconds = parseDuration(text.slice(1))
    const at = seconds === undefined ? undefined : new Date(now.getTime() + seconds * 1000)
    return at === undefined || Number.isNaN(at.getTime()) ? undefined : at.toISOString()
  }
  const [, date, hour] = TIME.exec(text) ?? []
  if (date === undefined || Number(hour) > 23) return undefined
  const midnight = new Date(`${date}T00:00:00Z`)
  // A Date takes 30 February for 2 March.
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== date) return undefined
  const at = new Date(text.toUpperCase())
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

/** Milliseconds since 1970 of a time with any offset, or of a duration before `now` as `2h`, `30m`. */
export function parsePast(text: string, now: Date): number | undefined {
  const seconds = parseDuration(text)
  if (seconds !== undefined) return now.getTime() - seconds * 1000
  const time = text.startsWith('+') ? undefined : parseDeadline(text, now)
  return time === undefined ? undefined : Date.parse(time)
}
