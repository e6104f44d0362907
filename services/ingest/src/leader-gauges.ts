import { Gauge, type Registry } from 'prom-client'

/** A partition: how far its group is behind, and for how long the next unread record has lain there. */
interface Behind {
  partition: number
  messages: number
  seconds: number
}

/** A lane's. */
export interface PartitionLag extends Behind {
  topic: string
}

/** Of a topic that brings no chunks: its records are no rows that wait, and hold up no batch. */
export interface DoorLag extends Behind {
  door: Door
}

export type Door = 'queries' | 'objects'

export interface SystemState {
  openBatches: number
  /** Seconds since 1970; 0: none is open. */
  oldestOpen: number
  /** Until the earliest deadline of the open batches; null: none has one. */
  slackSeconds: number | null
  outboxPending: number
  /** Seconds since 1970; 0: nothing is pending. */
  outboxOldest: number
  /** Those that were not taken yet, and since when the oldest waits; null: there is nobody to send them to. */
  webhooks: { pending: number; oldest: number } | null
  backlogRows: number
  lags: readonly PartitionLag[]
  doors: readonly DoorLag[]
}

/**
 * Gauges of the whole system. One worker exports them, the one that leads; what another one had known before would be
 * wrong, so there they are not in the registry at all.
 */
export class LeaderGauges {
  private readonly registry: Registry
  private readonly gauges = {
    open: gauge('rates_ingest_in_flight_batches', 'Batches that are open.'),
    oldest: gauge(
      'rates_ingest_oldest_pending_batch_timestamp_seconds',
      'The record time of the oldest batch that is open; 0: there is none.',
    ),
    slack: gauge(
      'rates_ingest_deadline_slack_seconds',
      'From now to the earliest deadline of the open batches; absent where none has one.',
    ),
    rows: gauge(
      'rates_ingest_backlog_rows',
      'Rows that wait in Kafka: unread records, times the rows that they use to have.',
    ),
    pending: gauge('rates_outbox_pending', 'Replies that wait to be sent.'),
    pendingSince: gauge(
      'rates_outbox_oldest_timestamp_seconds',
      'Since when the oldest of them waits; 0: there is none.',
    ),
    webhooks: gauge('rates_webhooks_pending', 'Webhooks that were not taken by their receiver yet.'),
    webhooksSince: gauge(
      'rates_webhooks_oldest_timestamp_seconds',
      'Since when the oldest of them waits; 0: there is none.',
    ),
    messages: gauge('rates_ingest_consumer_lag_messages', 'Records that were not read yet.', ['topic', 'partition']),
    seconds: gauge(
      'rates_ingest_consumer_lag_seconds',
      'How long the next unread record has lain there; 0: there is none.',
      ['topic', 'partition'],
    ),
    doorMessages: gauge('rates_door_lag_messages', 'Records of a door that are not dealt with yet.', [
      'door',
      'partition',
    ]),
    doorSeconds: gauge('rates_door_lag_seconds', 'How long the first of them has lain there; 0: there is none.', [
      'door',
      'partition',
    ]),
  }

  constructor(registry: Registry) {
    this.registry = registry
  }

  show(state: SystemState): void {
    const { open, oldest, slack, rows, pending, pendingSince, webhooks, webhooksSince } = this.gauges
    const absent = new Set([
      ...(state.slackSeconds === null ? [slack] : []),
      ...(state.webhooks === null ? [webhooks, webhooksSince] : []),
    ])
    for (const each of Object.values(this.gauges)) this.register(each, !absent.has(each))
    open.set(state.openBatches)
    oldest.set(state.oldestOpen)
    slack.set(state.slackSeconds ?? 0)
    rows.set(state.backlogRows)
    pending.set(state.outboxPending)
    pendingSince.set(state.outboxOldest)
    webhooks.set(state.webhooks?.pending ?? 0)
    webhooksSince.set(state.webhooks?.oldest ?? 0)
    const { messages, seconds, doorMessages, doorSeconds } = this.gauges
    for (const each of [messages, seconds, doorMessages, doorSeconds]) each.reset()
    for (const { topic, partition, ...lag } of state.lags) {
      messages.set({ topic, partition }, lag.messages)
      seconds.set({ topic, partition }, lag.seconds)
    }
    for (const { door, partition, ...lag } of state.doors) {
      doorMessages.set({ door, partition }, lag.messages)
      doorSeconds.set({ door, partition }, lag.seconds)
    }
  }

  hide(): void {
    for (const each of Object.values(this.gauges)) this.register(each, false)
  }

  private register(metric: Gauge, wanted: boolean): void {
    const { name } = metric as unknown as { name: string }
    const there = this.registry.getSingleMetric(name) !== undefined
    if (wanted && !there) this.registry.registerMetric(metric)
    if (!wanted && there) this.registry.removeSingleMetric(name)
  }
}

const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
  new Gauge({ name, help, labelNames, registers: [] })
