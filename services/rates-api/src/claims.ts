import { type Logger } from '@rates/service/log'
import { openObjectStore } from '@rates/service/open-object-store'
import { type Pool } from 'pg'
import { type Registry } from 'prom-client'
import { claimMetrics } from './claim-metrics.ts'
import { ClaimObjects } from './claim-objects.ts'
import { ClaimParts } from './claim-parts.ts'
import { ClaimReaders } from './claim-readers.ts'
import { ClaimStore } from './claim-store.ts'
import { ClaimSweep } from './claim-sweep.ts'
import { type Settings } from './config.ts'

interface ClaimNeeds {
  readonly pool: Pool
  readonly settings: Settings
  readonly registry: Registry
  readonly log: Logger
}

/** Who puts answers away, who reads them, and who clears up: one of each in a process. */
export function makeClaims({ pool, settings, registry, log }: ClaimNeeds): {
  claims: ClaimStore
  readers: ClaimReaders
  sweep: ClaimSweep
} {
  const metrics = claimMetrics(registry)
  const objects = new ClaimObjects(() => openObjectStore(settings))
  const { CLAIM_BUCKET: bucket, CLAIM_HOURS: hours, CLAIM_MAX_BYTES: maxBytes } = settings
  return {
    claims: new ClaimStore({ pool, parts: new ClaimParts(pool), objects, metrics, bucket, hours, maxBytes }),
    readers: new ClaimReaders({ idleMs: settings.UPLOAD_IDLE_SECONDS * 1000, metrics, log }),
    sweep: new ClaimSweep({ pool, objects, metrics, log }),
  }
}
