import { failpoint } from '@rates/service/failpoints'
import { type Logger } from '@rates/service/log'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { post, type Answer } from './webhook-request.ts'
import { webhookHeaders } from './webhook-signature.ts'

/** Requests at a time: a slow receiver costs no more than these. */
const AT_ONCE = 4
const FIRST_PAUSE_SECONDS = 5
const LONGEST_PAUSE_SECONDS = 3_600
/** An attempt that fails so long after the batch did is the last one. */
const GIVE_UP_AFTER_DAYS = 3
/** What is under way when the process is to end may take so long. */
const GRACE_MILLISECONDS = 2_000

export interface SenderSettings {
  url: string
  /** What signs them now; none: they go unsigned. */
  keys: () => readonly Buffer[]
  userAgent: string
  timeoutMilliseconds?: number
}

/** `sent`: taken by the receiver; `failed`: an attempt, to be made again; `given_up`: the last one failed, too. */
export type WebhookOutcome = 'sent' | 'failed' | 'given_up'

interface Due {
  no: bigint
  id: string
  batchId: string
  body: string
  attempts: number
}

// now() and not clock_timestamp(), which no index is searched by.
const DUE = `
select w.no, w.webhook_id as id, b.id as "batchId", w.body, w.attempts
from webhooks w join batches b on b.no = w.batch_no
where w.ended_at is null and w.next_at <= now() and w.no <> all($1) order by w.next_at limit $2`

const TAKEN = `
update webhooks set attempts = attempts + 1, ended_at = clock_timestamp(), error = null
where no = $1 and ended_at is null`

const FAILED = `
update webhooks set attempts = attempts + 1, error = $2, next_at = clock_timestamp() + make_interval(secs => $3),
  ended_at = case when created_at < clock_timestamp() - make_interval(days => ${GIVE_UP_AFTER_DAYS}) then clock_timestamp() end
where no = $1 and ended_at is null
returning ended_at is not null as "givenUp"`

/**
 * Sends webhooks that are due, at least once each: one is noted as sent after its receiver has taken it, so a crash in
 * between repeats it, with the same bytes and the same id. Up to four are under way at a time, each without a
 * transaction or a connection to PostgreSQL; runOnce() starts them and does not wait for their end.
 */
export class WebhookSender {
  private readonly underWay = new Map<bigint, Promise<void>>()
  private readonly ending = new AbortController()
  private stopped = false
  private readonly pool: pg.Pool
  private readonly settings: SenderSettings
  private readonly count: (outcome: WebhookOutcome) => void
  private readonly log: Logger

  constructor(pool: pg.Pool, settings: SenderSettings, count: (outcome: WebhookOutcome) => void, log: Logger) {
    this.pool = pool
    this.settings = settings
    this.count = count
    this.log = log
  }

  /** @returns how many it has started; where four are under way already, once one of them has ended */
  async runOnce(): Promise<number> {
    if (this.underWay.size >= AT_ONCE) await Promise.race(this.underWay.values())
    const { rows } = await this.pool.query<Due>({
      name: 'webhooks-due',
      text: DUE,
      values: [[...this.underWay.keys()], AT_ONCE - this.underWay.size],
    })
    if (this.stopped) return 0
    for (const webhook of rows) {
      const attempt = this.attempt(webhook).finally(() => this.underWay.delete(webhook.no))
      this.underWay.set(webhook.no, attempt)
    }
    return rows.length
  }

  /** What does not end soon is given up: it is still due, for whoever leads next. */
  async stop(): Promise<void> {
    this.stopped = true
    const grace = setTimeout(() => this.ending.abort(), GRACE_MILLISECONDS)
    await Promise.all(this.underWay.values())
    clearTimeout(grace)
  }

  private async attempt(webhook: Due): Promise<void> {
    failpoint('before-webhook')
    const fault = await this.send(webhook).then(faultOf, (error: Error) => ({ error: inWords(error) }))
    if (fault && this.ending.signal.aborted) return
    if (!fault) failpoint('webhook-taken')
    // To send it again because it could not be noted would be worse than to wait.
    for (;;) {
      try {
        return await (fault ? this.noteFailure(webhook, fault) : this.noteSuccess(webhook))
      } catch (error) {
        this.log.warn({ err: error, webhook_id: webhook.id }, 'webhooks: could not note an attempt, trying again')
      }
      await sleep(1_000, undefined, { signal: this.ending.signal }).catch(() => undefined)
      if (this.ending.signal.aborted) return
    }
  }

  private async send({ id, body }: Due): Promise<Answer> {
    const { url, keys, userAgent, timeoutMilliseconds } = this.settings
    const headers = {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...webhookHeaders(id, Date.now(), body, keys()),
    }
    return post(url, headers, body, {
      signal: this.ending.signal,
      ...(timeoutMilliseconds !== undefined && { timeoutMilliseconds }),
    })
  }

  private async noteSuccess({ no, id, batchId, attempts }: Due): Promise<void> {
    const { rowCount } = await this.pool.query({ name: 'webhook-taken', text: TAKEN, values: [no] })
    if (rowCount !== 1) return // another process, which led for a moment, too, has noted it; or the batch is forgotten
    this.count('sent')
    this.log.info({ batch_id: batchId, webhook_id: id, attempt: attempts + 1 }, 'webhook sent')
  }

  private async noteFailure({ no, id, batchId, attempts }: Due, fault: Fault): Promise<void> {
    const pause = pauseSeconds(attempts, fault.retryAfterSeconds)
    const { rows } = await this.pool.query<{ givenUp: boolean }>({
      name: 'webhook-failed',
      text: FAILED,
      values: [no, fault.error, pause],
    })
    if (!rows[0]) return
    const about = { batch_id: batchId, webhook_id: id, attempt: attempts + 1, reason: fault.error }
    this.count('failed')
    if (!rows[0].givenUp)
      return this.log.warn({ ...about, pause: Math.round(pause) }, 'webhook failed: it is sent again')
    this.count('given_up')
    this.log.error(about, `webhook given up after ${GIVE_UP_AFTER_DAYS} days`)
  }
}

interface Fault {
  error: string
  retryAfterSeconds?: number | undefined
}

/** Every answer but 2xx is a failure, which may pass: what the receiver has to mend for it is not ours to know. */
function faultOf({ status, retryAfterSeconds }: Answer): Fault | undefined {
  if (status >= 200 && status < 300) return undefined
  return { error: `the receiver answered ${status} ${http.STATUS_CODES[status] ?? ''}`.trim(), retryAfterSeconds }
}

/** Where a name has several addresses, each of them has failed by itself, and the error of all says nothing. */
function inWords(error: Error): string {
  const each = error instanceof AggregateError ? (error.errors as Error[]) : [error]
  return each.map(({ message }) => message).join('; ')
}

/**
 * From one attempt to the next: 5 s, doubled each time up to an hour, half of it random, lest all that failed together
 * comes back in step; or as long as the receiver asks for, up to an hour, too.
 */
export function pauseSeconds(attempts: number, retryAfterSeconds = 0): number {
  const longest = Math.min(FIRST_PAUSE_SECONDS * 2 ** attempts, LONGEST_PAUSE_SECONDS)
  const pause = longest / 2 + Math.random() * (longest / 2)
  return Math.max(pause, Math.min(retryAfterSeconds, LONGEST_PAUSE_SECONDS))
}
