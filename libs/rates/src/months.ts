import { FIRST_YEAR, LAST_YEAR } from './limits.ts'

/** Months are counted from January 1970 (0) to December 2199. */
export const MONTHS = (LAST_YEAR - FIRST_YEAR + 1) * 12

const DAYS_IN_MONTH = new Uint8Array(MONTHS)
/** Days from 2000-01-01 (PostgreSQL's epoch) to the first of each month. */
const POSTGRES_DAY = new Int32Array(MONTHS)
{
  let day = -10_957 // 1970-01-01
  for (let month = 0; month < MONTHS; month++) {
    const year = FIRST_YEAR + Math.floor(month / 12)
    const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
    const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month % 12]!
    DAYS_IN_MONTH[month] = days
    POSTGRES_DAY[month] = day
    day += days
  }
}

export const daysInMonth = (month: number): number => DAYS_IN_MONTH[month]!
export const postgresDayOfMonth = (month: number): number => POSTGRES_DAY[month]!

/** `2021-01-05` of a month and a day of it (0 is the first). */
export function formatDay(month: number, day: number): string {
  const year = FIRST_YEAR + Math.floor(month / 12)
  return `${year}-${String((month % 12) + 1).padStart(2, '0')}-${String(day + 1).padStart(2, '0')}`
}

/**
 * Reads exactly `YYYY-MM-DD` in ASCII.
 * @returns month * 32 + day of the month (0 is the first), or -1: not of that form or not a date of the calendar,
 * or -2: a date outside 1970-01-01 to 2199-12-31.
 */
export function parseDay(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 10 || bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d) return -1
  let digits = 0
  for (let i = 0; i < 10; i++) {
    if (i === 4 || i === 7) continue
    const digit = bytes[start + i]! - 0x30
    if (digit < 0 || digit > 9) return -1
    digits = digits * 10 + digit
  }
  const year = Math.floor(digits / 10_000)
  const monthOfYear = (Math.floor(digits / 100) % 100) - 1
  const day = (digits % 100) - 1
  if (monthOfYear < 0 || monthOfYear > 11 || day < 0 || day > 30 || year < 1) return -1
  if (year < FIRST_YEAR || year > LAST_YEAR) {
    const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
    const days = monthOfYear === 1 ? (leap ? 29 : 28) : [31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][monthOfYear]!
    return day < days ? -2 : -1
  }
  const month = (year - FIRST_YEAR) * 12 + monthOfYear
  return day < DAYS_IN_MONTH[month]! ? month * 32 + day : -1
}
