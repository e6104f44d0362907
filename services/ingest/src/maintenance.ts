import { Lease } from '@rates/service/lease'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import type pg from 'pg'
import { type Registry } from 'prom-client'
import { type Settings } from './config.ts'
import { maintenanceMetrics } from './maintenance-metrics.ts'
import { MergeSweep } from './merge-sweep.ts'
import { whileLeader } from './relay.ts'
import { LedgerRetention } from './retention-ledger.ts'

/** Merging and retention, in the one worker that holds the lease. Two for a moment are harmless. */
export function startMaintenance(
  pool: pg.Pool,
  settings: Settings,
  registry: Registry,
  log: Logger,
  lifecycle: Lifecycle,
): void {
  const metrics = maintenanceMetrics(registry)
  const lease = new Lease(pool, `${settings.KAFKA_PREFIX}maintenance`, settings.WORKER_NAME, log)
  const sweep = new MergeSweep(
    pool,
    {
      afterSeconds: settings.COMPACT_AFTER_SECONDS,
      revertWindowDays: settings.REVERT_WINDOW_DAYS,
      priceRetentionDays: settings.PRICE_RETENTION_DAYS,
    },
    metrics,
    log,
  )
  const ledger = new LedgerRetention(pool, settings.LEDGER_RETENTION_DAYS, metrics, log)
  lease.start()
  lifecycle.defer('maintenance lease', () => lease.stop())
  const merging = whileLeader(lease, 'merging', 1_000, log, () => sweep.runOnce())
  lifecycle.defer('merging', () => merging.stop())
  const forgetting = whileLeader(lease, 'ledger retention', 1_000, log, () => ledger.runOnce())
  lifecycle.defer('ledger retention', () => forgetting.stop())
}
