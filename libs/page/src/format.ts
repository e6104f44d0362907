/** How the page writes numbers and times. Thin spaces group digits, so that a number is never broken into lines. */

const THIN = '\u202f'

export const count = (value: number): string => String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, THIN)

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let unit = -1
  let left = value
  do {
    left /= 1000
    unit++
  } while (left >= 999.5 && unit < units.length - 1)
  return `${left < 9.95 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`
}

/** Rows a second and the like: three digits are enough. */
export function rate(perSecond: number): string {
  if (perSecond >= 999_500) return `${(perSecond / 1e6).toFixed(2)} M/s`
  if (perSecond >= 9_950) return `${Math.round(perSecond / 1000)} k/s`
  return `${count(perSecond)}/s`
}

export function duration(seconds: number): string {
  if (seconds < 0.0095) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 1) return `${seconds.toFixed(2)} s`
  if (seconds < 9.95) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`
  if (seconds < 119.5) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`
}

export const percent = (part: number): string => `${Math.floor(part * 100)}${THIN}%`

/** A part of a whole, however small. */
export function share(part: number): string {
  if (part <= 0) return `0${THIN}%`
  if (part < 0.0001) return `<\u20090.01${THIN}%`
  if (part < 0.0995) return `${(part * 100).toFixed(part < 0.01 ? 2 : 1)}${THIN}%`
  return `${Math.min(Math.round(part * 100), part < 1 ? 99 : 100)}${THIN}%`
}

export const secondsBetween = (from: string, to: string | number): number =>
  Math.max(0, ((typeof to === 'number' ? to : Date.parse(to)) - Date.parse(from)) / 1000)

/** `2026-11-21 08:00:00 UTC`: what logs say, too. */
export const utc = (time: string): string => `${dayAndTime(time)} UTC`

/** Where it is told elsewhere that it is UTC. */
export const dayAndTime = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 19)}`

export function ago(time: string, now: number): string {
  const seconds = secondsBetween(time, now)
  return seconds < 1.5 ? 'just now' : `${duration(Math.floor(seconds))} ago`
}
