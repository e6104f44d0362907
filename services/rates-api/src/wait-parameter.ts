import { z } from 'zod'

/** Balancers cut what is silent for longer, mostly after 60 s. */
const LONGEST_WAIT_MS = 60_000

const UNITS = { ms: 1, s: 1000, m: 60_000 }

/** `?wait=30s`: how long an answer may be waited for; in milliseconds. */
export const waitParameter = z
  .string()
  .regex(/^\d{1,6}(ms|s|m)$/, 'is not a time as 500ms, 30s or 1m')
  .transform(milliseconds)
  .refine((ms) => ms <= LONGEST_WAIT_MS, 'is more than 60s')

function milliseconds(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? []
  return Number(count) * UNITS[unit as keyof typeof UNITS]
}
