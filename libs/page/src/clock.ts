/** Dates in answers have whole seconds: what differs by less may be nothing. */
const EXACT_MILLISECONDS = 2000

let ahead = 0

/** Learns from an answer's `Date` how far the service's clock is from this machine's, which may be wrong by hours. */
export function learnTime(date: string | null, here = Date.now()): void {
  const told = date === null ? NaN : Date.parse(date)
  if (Number.isNaN(told)) return
  ahead = Math.abs(told - here) > EXACT_MILLISECONDS ? told - here : 0
}

/** Milliseconds since 1970 by the service's clock. */
export const serverNow = (): number => Date.now() + ahead
