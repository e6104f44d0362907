import { describe } from '@jest/globals'
import { requirePrometheus } from '@rates/local/prometheus'

const isHere = await requirePrometheus().then(
  () => true,
  () => false,
)

/** Left out on a machine that has no Prometheus; a CI has to have it. */
export const describeWithPrometheus: typeof describe | typeof describe.skip =
  isHere || process.env['CI'] ? describe : describe.skip
