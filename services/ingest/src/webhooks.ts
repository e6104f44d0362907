import { freshFile } from '@rates/service/fresh-file'
import { Lease } from '@rates/service/lease'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import type pg from 'pg'
import { type Settings } from './config.ts'
import { type IngestMetrics } from './metrics.ts'
import { whileLeader } from './relay.ts'
import { WebhookSender } from './webhook-sender.ts'
import { readKeys } from './webhook-signature.ts'

/** How long those that have ended can be looked at; less where the ledger forgets their batches before. */
const KEPT_DAYS = 30
const KEPT_STEP = 1_000
const KEPT_ROUND_MILLISECONDS = 3_600_000

/** Sends webhooks, in the one worker that holds the lease. Without a URL nothing is asked for, ever. */
export function startWebhooks(
  pool: pg.Pool,
  settings: Settings,
  { webhooks }: Pick<IngestMetrics, 'webhooks'>,
  log: Logger,
  lifecycle: Lifecycle,
): void {
  const { WEBHOOK_URL: url, WEBHOOK_SECRET_FILE: file } = settings
  if (url === undefined) return
  const secret = file === undefined ? undefined : freshFile(file)
  const sender = new WebhookSender(
    pool,
    { url, keys: () => (secret ? readKeys(secret()) : []), userAgent: `rates/${settings.BUILD_VERSION}` },
    (outcome) => webhooks.inc({ outcome }),
    log,
  )
  const lease = new Lease(pool, `${settings.KAFKA_PREFIX}webhook`, settings.WORKER_NAME, log)
  lease.start()
  lifecycle.defer('webhook lease', () => lease.stop())
  const sending = whileLeader(lease, 'webhooks', 1_000, log, () => sender.runOnce())
  let nextRound = 0
  const removing = whileLeader(lease, 'old webhooks', 1_000, log, async () => {
    if (performance.now() < nextRound) return 0
    const removed = await removeOld(pool)
    if (removed === 0) nextRound = performance.now() + KEPT_ROUND_MILLISECONDS
    return removed
  })
  lifecycle.defer('webhooks', async () => {
    await Promise.all([sending.stop(), removing.stop(), sender.stop()])
  })
}

/** One step. @returns how many went */
export async function removeOld(pool: pg.Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from webhooks where no in (
       select no from webhooks where ended_at < now() - make_interval(days => $1) order by ended_at limit $2)`,
    [KEPT_DAYS, KEPT_STEP],
  )
  return rowCount ?? 0
}
