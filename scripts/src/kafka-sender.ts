import { setTimeout as sleep } from 'node:timers/promises'
import { type Reply } from '@rates/core/batch'
import { type ObjectClaim } from '@rates/core/object-claim'
import { OBJECT_TYPE, writeBatchHeaders, type BatchHeaders } from '@rates/core/wire'
import { produceBatch } from '@rates/service/produce-batch'
import { type BatchInput } from './batch-input.ts'
import { BatchSession } from './batch-session.ts'
import { explainKafka, kafkaSettings, requireBrokers } from './brokers.ts'
import { type CommandFailure } from './exit.ts'
import { followBatch, showElapsed } from './follow-batch.ts'
import { type Progress, type Screen } from './progress.ts'
import { type Arrived, type Delivered, type Sender, type SendOptions, type Sent } from './sender.ts'

/** After a cancellation its confirmation is waited for so long. */
const CONFIRM_MILLISECONDS = 10_000

/** Where the platform is; the API's URL if it is known, which only shows progress. */
export interface Brokers {
  brokers: string[]
  prefix: string
  url: string | undefined
}

/** Sends records, and listens to the topic of replies. */
export class KafkaSender implements Sender<Delivered> {
  readonly batch: BatchHeaders
  private readonly platform: Brokers
  private readonly wait: boolean
  private readonly begun = Date.now()
  private readonly screen: Screen
  private opened: BatchSession | undefined

  constructor(platform: Brokers, batch: BatchHeaders, wait: boolean, screen: Screen = process.stderr) {
    this.platform = platform
    this.batch = batch
    this.wait = wait
    this.screen = screen
  }

  get attempted(): boolean {
    return this.opened?.attempted ?? false
  }

  async reach(): Promise<void> {
    await requireBrokers(this.platform.brokers)
    this.opened = new BatchSession(
      kafkaSettings(this.platform.brokers, 'rates-produce'),
      this.platform.prefix,
      this.batch,
      this.wait,
    )
  }

  async connect(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const shown = showElapsed('connecting to Kafka', AbortSignal.any([over.signal, signal]), this.screen)
    try {
      await Promise.race([this.session.ready, rejectOn(signal)])
    } finally {
      over.abort()
      await shown
    }
  }

  send(input: BatchInput, { encoding = 'identity', onSent, signal }: SendOptions): Promise<Sent> {
    const { producer, topics } = this.session
    const part = (): number | undefined => (input.size ? input.bytesRead() / input.size : undefined)
    const options = { encoding, onChunk: onSent, progress: part, signal }
    return produceBatch(producer, topics, input.pieces, input.format, this.batch, options)
  }

  /** Sends a record that names an object which is to become the batch. */
  async sendClaim(claim: ObjectClaim): Promise<void> {
    const { producer, topics } = this.session
    const headers = { ...writeBatchHeaders(this.batch), 'content-type': OBJECT_TYPE }
    await producer.send([{ topic: topics.batches, headers, value: Buffer.from(JSON.stringify(claim)) }])
  }

  async outcome({ rows }: Delivered, progress: Progress, signal: AbortSignal): Promise<Arrived> {
    const { url } = this.platform
    const over = new AbortController()
    const shownUntil = AbortSignal.any([over.signal, signal])
    const known = new AbortController()
    const elapsed = (until: AbortSignal): Promise<void> => showElapsed('waiting for the reply', until, this.screen)
    const path = `/batches/${encodeURIComponent(this.batch.batchId)}${this.batch.dryRun ? '?dryRun=true' : ''}`
    // The reply is what counts: an API that cannot be asked keeps nobody from it.
    const follow = async (api: string): Promise<void> => {
      // What nobody has counted here is no progress before the platform has begun with it.
      const begun = rows === undefined ? elapsed(AbortSignal.any([known.signal, shownUntil])) : undefined
      const seen = (): void => known.abort()
      await followBatch({ url: api, path }, rows, progress, shownUntil, seen).catch(() => {
        if (begun === undefined || known.signal.aborted) return elapsed(shownUntil)
      })
      await begun
    }
    const shown = url === undefined ? elapsed(shownUntil) : follow(url)
    try {
      const arrived = await Promise.race([this.session.inbox.first, rejectOn(signal)])
      if (arrived.reply.state === 'succeeded') progress.update(rows ?? arrived.reply.rows.accepted)
      return { ...arrived, repeated: Date.parse(arrived.reply.finishedAt) < this.begun, hidden: undefined }
    } finally {
      over.abort()
      await shown
    }
  }

  async cancel(wait: boolean): Promise<Reply | undefined> {
    await this.session.cancel()
    if (!wait || this.batch.dryRun) return undefined
    const late = sleep(CONFIRM_MILLISECONDS, undefined, { ref: false })
    return (await Promise.race([this.session.inbox.outcome, late]))?.reply
  }

  explain(error: unknown): CommandFailure | undefined {
    return explainKafka(error, this.platform.brokers)
  }

  async close(): Promise<void> {
    await this.opened?.close()
  }

  private get session(): BatchSession {
    if (!this.opened) throw new Error('reach() comes first')
    return this.opened
  }
}

export const rejectOn = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason as Error)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
