import { Counter, Gauge, type Registry } from 'prom-client'

const OUTCOMES = ['stored', 'too_large', 'failed'] as const
const REASONS = ['expired', 'abandoned'] as const
const READS = ['served', 'left', 'broken'] as const

export type ClaimMetrics = ReturnType<typeof claimMetrics>
export type RemovalReason = (typeof REASONS)[number]
/** `left`: its reader went, or took nothing for too long; `broken`: we cut it, as the content cannot be read. */
export type ReadOutcome = (typeof READS)[number]

export function claimMetrics(registry: Registry) {
  const registers = [registry]
  const claims = new Counter({
    name: 'rates_claims_total',
    help: 'Answers that were to be put away, by what came of it.',
    labelNames: ['outcome'],
    registers,
  })
  const bytes = new Counter({
    name: 'rates_claim_bytes_total',
    help: 'Bytes of the content that was put away.',
    registers,
  })
  const removed = new Counter({
    name: 'rates_claims_removed_total',
    help: 'Claims whose content was removed by this process.',
    labelNames: ['reason'],
    registers,
  })
  const kept = new Gauge({ name: 'rates_claims_kept', help: 'Claims that can be read, at the last sweep.', registers })
  const keptBytes = new Gauge({ name: 'rates_claims_kept_bytes', help: 'Bytes of their content.', registers })
  const unremoved = new Gauge({
    name: 'rates_claim_objects_to_remove',
    help: 'Objects that are to go from their bucket, after the last sweep.',
    registers,
  })
  const reads = new Counter({
    name: 'rates_claim_reads_total',
    help: 'Streams of what was put away, by their end.',
    labelNames: ['outcome'],
    registers,
  })
  const readers = new Gauge({ name: 'rates_claim_readers', help: 'Such streams that are going on.', registers })
  for (const outcome of OUTCOMES) claims.inc({ outcome }, 0)
  for (const reason of REASONS) removed.inc({ reason }, 0)
  for (const outcome of READS) reads.inc({ outcome }, 0)
  return {
    put(size: number): void {
      claims.inc({ outcome: 'stored' })
      bytes.inc(size)
    },
    notPut: (outcome: 'too_large' | 'failed'): void => claims.inc({ outcome }),
    removed: (reason: RemovalReason): void => removed.inc({ reason }),
    swept(found: { kept: number; bytes: number; unremoved: number }): void {
      kept.set(found.kept)
      keptBytes.set(found.bytes)
      unremoved.set(found.unremoved)
    },
    readers,
    read: (outcome: ReadOutcome): void => reads.inc({ outcome }),
  }
}
