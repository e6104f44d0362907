import { failpoint } from '@rates/service/failpoints'
import { type OutgoingRecord, type Producer } from '@rates/service/kafka'
import { kafkaWord, RECORD_REFUSED } from '@rates/service/kafka-faults'
import { type Lease } from '@rates/service/lease'
import { type Logger } from '@rates/service/log'
import type pg from 'pg'
import { type LoopClock } from './loop-clock.ts'
import { isOfKafka } from './retry.ts'

/** Rejected batches' replies have some kilobytes each; a record batch must stay below a broker's 1 MB. */
const TOGETHER = 100

interface OutboxRow {
  no: bigint
  replyId: string
  topic: string
  batchId: string
  correlationId: string | null
  traceparent: string | null
  body: string
}

/** What is told of the relay's work. */
export interface RelayWatch {
  /** A round has found replies to send. */
  begins(): void
  /**
   * So many replies of an outcome: `sent`, `failed` (they are sent again), `no_topic` (they wait for it), `refused`
   * (Kafka takes them at no time: they are given up).
   */
  replies(outcome: 'sent' | 'failed' | 'no_topic' | 'refused', count: number): void
  /** From a batch's outcome to its reply being sent. */
  delay(seconds: number): void
}

/** How long a topic that takes no replies is left alone. */
const REST_MILLISECONDS = 5_000

/**
 * Sends what stands in the outbox, in its order, at least once: a row is marked as sent after Kafka has acknowledged
 * it, so a crash in between repeats the record, with the same bytes and the same reply id. A topic that is not there, or
 * takes nothing, keeps no other topic's replies back: its own wait. Nor does a reply that Kafka refuses by itself keep
 * others back: it is given up, and its batch still tells the outcome to whoever asks.
 */
export class OutboxRelay {
  private readonly pool: pg.Pool
  private readonly producer: Producer
  private readonly exists: (topic: string) => Promise<boolean>
  private readonly log: Logger
  private readonly watch: RelayWatch | undefined
  /** Topics that are not there or take nothing, and when they are tried again. */
  private readonly resting = new Map<string, number>()

  constructor(
    pool: pg.Pool,
    producer: Producer,
    exists: (topic: string) => Promise<boolean>,
    log: Logger,
    watch?: RelayWatch,
  ) {
    this.pool = pool
    this.producer = producer
    this.exists = exists
    this.log = log
    this.watch = watch
  }

  /** @returns how many were sent, or given up @throws the first fault, after each topic had its turn */
  async runOnce(): Promise<number> {
    for (const [topic, until] of this.resting) if (performance.now() > until) this.resting.delete(topic)
    const { rows } = await this.pool.query<OutboxRow>({
      name: 'outbox-unsent',
      text: `select no, reply_id as "replyId", topic, batch_id as "batchId", correlation_id as "correlationId", traceparent, body
        from outbox where sent_at is null and topic <> all($1) order by no limit ${TOGETHER}`,
      values: [[...this.resting.keys()]],
    })
    if (rows.length > 0) this.watch?.begins()
    const byTopic = Map.groupBy(rows, ({ topic }) => topic)
    let done = 0
    const faults: unknown[] = []
    for (const [topic, replies] of byTopic) {
      try {
        if (await this.exists(topic)) {
          done += await this.send(replies)
          continue
        }
        this.watch?.replies('no_topic', replies.length)
        this.log.warn({ topic, replies: replies.length }, 'there is no such topic: its replies wait')
      } catch (error) {
        if (kafkaWord(error) === undefined) throw error // it is not for this topic that nobody answers
        faults.push(error)
      }
      this.resting.set(topic, performance.now() + REST_MILLISECONDS)
    }
    if (faults.length > 0) throw faults[0]
    return done
  }

  private async send(rows: OutboxRow[]): Promise<number> {
    failpoint('before-relay')
    try {
      await this.producer.send(rows.map(replyRecord))
    } catch (error) {
      if (RECORD_REFUSED.test(kafkaWord(error) ?? '')) return this.sendRefused(rows, error)
      this.watch?.replies('failed', rows.length)
      throw error
    }
    failpoint('relayed')
    const marked = await this.pool.query<{ seconds: number }>(
      `update outbox set sent_at = clock_timestamp() where no = any($1)
       returning extract(epoch from sent_at - created_at)::float8 as seconds`,
      [rows.map(({ no }) => no)],
    )
    failpoint('after-relay')
    this.watch?.replies('sent', rows.length)
    for (const { seconds } of marked.rows) this.watch?.delay(seconds)
    return rows.length
  }

  /** It is one of them, or all of them together are too large. */
  private async sendRefused(rows: OutboxRow[], error: unknown): Promise<number> {
    if (rows.length > 1) {
      for (const row of rows) await this.send([row])
      return rows.length
    }
    const { no, topic, replyId, batchId } = rows[0]!
    await this.pool.query('update outbox set sent_at = clock_timestamp() where no = $1', [no])
    this.watch?.replies('refused', 1)
    this.log.error(
      { err: error, topic, reply_id: replyId, batch_id: batchId },
      'Kafka refuses this reply: it is given up',
    )
    return 1
  }
}

function replyRecord(row: OutboxRow): OutgoingRecord {
  const headers: Record<string, string> = {
    'reply-id': row.replyId,
    'batch-id': row.batchId,
    'content-type': 'application/json',
  }
  if (row.correlationId !== null) headers['correlation-id'] = row.correlationId
  if (row.traceparent !== null) headers['traceparent'] = row.traceparent
  return { topic: row.topic, headers, value: Buffer.from(row.body) }
}

/**
 * Runs a step again and again while the lease is this process's: at once while there is work, else after a pause. A
 * failing step is told and tried again; it never ends the process.
 * @param clock of a loop whose time is accounted for: it is off while the lease is another process's
 */
export function whileLeader(
  lease: Lease,
  name: string,
  pauseMilliseconds: number,
  log: Logger,
  step: () => Promise<number>,
  clock?: Pick<LoopClock<'respond'>, 'rest' | 'off' | 'waiting'>,
): { stop(): Promise<void> } {
  let stopped = false
  let wake: () => void = () => undefined
  const pause = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const loop = async (): Promise<void> => {
    while (!stopped) {
      let done = 0
      try {
        if (lease.mine) done = await step()
      } catch (error) {
        log.warn({ err: error }, `${name}: trying again`)
        const paused = pause(1_000)
        await (clock?.waiting(isOfKafka(error) ? 'broker' : 'db', paused) ?? paused)
      }
      if (!lease.mine) clock?.off()
      else if (done === 0) clock?.rest()
      if (done === 0 && !stopped) await pause(pauseMilliseconds)
    }
  }
  const ended = loop()
  return {
    async stop() {
      stopped = true
      wake()
      await ended
    },
  }
}
