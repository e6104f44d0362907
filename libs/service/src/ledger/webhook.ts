import { type Reply } from '@rates/core/batch'
import type pg from 'pg'

/** What of webhooks has to be known where a batch gets its outcome. */
export interface WebhookSettings {
  /** Precedes the links; they are relative if it is empty. */
  publicUrl: string
}

/** The body of a webhook: the reply, and what the Standard Webhooks specification recommends besides. */
export interface BatchFailed extends Reply {
  type: 'batch.failed'
  /** When it happened: RFC 3339, UTC. */
  timestamp: string
}

/**
 * Puts a webhook beside the outcome, in the transaction that gives it: neither is ever there without the other. A dry
 * run has whoever sent it waiting for its reply, and concerns nobody else: it gets none.
 */
export async function enqueueWebhook(
  db: Pick<pg.Pool, 'query'>,
  batchNo: bigint,
  reply: Reply,
  settings: WebhookSettings | null,
): Promise<void> {
  if (!settings || reply.state !== 'failed' || reply.dryRun) return
  const { self, errors } = reply.links
  const body: BatchFailed = {
    type: 'batch.failed',
    timestamp: reply.finishedAt,
    ...reply,
    links: { self: settings.publicUrl + self, errors: settings.publicUrl + errors },
  }
  await db.query({
    name: 'enqueue-webhook',
    text: 'insert into webhooks (webhook_id, batch_no, body) values ($1, $2, $3) on conflict (webhook_id) do nothing',
    values: [webhookId(reply.replyId), batchNo, JSON.stringify(body)],
  })
}

/**
 * The reply's id, percent-encoded, with the full stops: what is signed is `id.timestamp.body`, and must not be read in
 * two ways.
 */
export const webhookId = (replyId: string): string => encodeURIComponent(replyId).replaceAll('.', '%2E')
