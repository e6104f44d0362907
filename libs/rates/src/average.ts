// The original service answers avg(price) of integers: PostgreSQL divides numerics, and the result is turned into a
// double. That differs from `sum / count` in doubles, because a numeric quotient has a limited number of decimals.

// Where most prices are, the two are the same. From 1024 to below 10 000 a quotient keeps 16 decimals at least, so it is
// moved by less than 2^-54. It would have to cross the middle between two doubles to end as another one; such middles are
// multiples of 2^-43, and a fraction whose divisor is at most 2^11 is never that near to one.

/**
 * The average of `count` prices that add up to `sum`, to the last digit as the double nearest to PostgreSQL's
 * avg(integer). Both are whole and positive; a sum from 2^53 on comes as a bigint.
 */
export function average(sum: number | bigint, count: number): number {
  if (typeof sum === 'number') {
    const quotient = sum / count
    if (sum % count === 0 || (quotient >= 1024 && quotient < 10_000 && count <= 2048)) return quotient
  }
  const dividend = BigInt(sum)
  const divisor = BigInt(count)
  const scale = quotientScale(dividend, divisor)
  const unit = 10n ** BigInt(scale)
  const rounded = (2n * dividend * unit + divisor) / (2n * divisor) // half away from zero: both are positive
  const digits = rounded.toString().padStart(scale + 1, '0')
  const point = digits.length - scale
  return Number(`${digits.slice(0, point)}.${digits.slice(point)}`) // reading decimals is exact to the nearest double
}

/**
 * How many decimals numeric division keeps (select_div_scale in PostgreSQL's numeric.c): enough for 16 significant
 * digits by an estimate of the quotient's weight, which is the difference of the operands' weights in base-10 000
 * digits, less one if the first such digit of the dividend is not larger than the divisor's.
 */
function quotientScale(dividend: bigint, divisor: bigint): number {
  const [weight, digit] = leading(dividend)
  const [otherWeight, otherDigit] = leading(divisor)
  const quotientWeight = weight - otherWeight - (digit <= otherDigit ? 1 : 0)
  return Math.max(16 - 4 * quotientWeight, 0)
}

/** Weight and value of the first base-10 000 digit. */
function leading(value: bigint): [weight: number, digit: number] {
  const decimals = value.toString()
  const weight = Math.floor((decimals.length - 1) / 4)
  return [weight, Number(decimals.slice(0, decimals.length - 4 * weight))]
}
