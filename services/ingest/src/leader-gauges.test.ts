import { expect, it } from '@jest/globals'
import { parseMetrics } from '@rates/testing/metrics-text'
import { Registry } from 'prom-client'
import { LeaderGauges, type SystemState } from './leader-gauges.ts'

const state: SystemState = {
  openBatches: 2,
  oldestOpen: 1_000,
  slackSeconds: -3,
  outboxPending: 0,
  outboxOldest: 0,
  webhooks: { pending: 3, oldest: 2_000 },
  backlogRows: 70,
  lags: [
    { topic: 'a', partition: 0, messages: 7, seconds: 9 },
    { topic: 'a', partition: 1, messages: 0, seconds: 0 },
  ],
  doors: [
    { door: 'queries', partition: 0, messages: 4, seconds: 6 },
    { door: 'objects', partition: 0, messages: 0, seconds: 0 },
  ],
}

it('gauges of the system are there while they are known, and no series outlives what it was of', async () => {
  const registry = new Registry()
  const gauges = new LeaderGauges(registry)
  const read = async () => parseMetrics(await registry.metrics())
  const names = async () => new Set((await read()).map(({ name }) => name))
  gauges.hide()
  expect(await read()).toEqual([])
  gauges.show(state)
  gauges.show(state)
  expect((await names()).size).toBe(12)
  expect(await read()).toContainEqual({ name: 'rates_ingest_deadline_slack_seconds', labels: {}, value: -3 })
  expect(await read()).toContainEqual({
    name: 'rates_ingest_consumer_lag_seconds',
    labels: { topic: 'a', partition: '0' },
    value: 9,
  })
  const queries = { door: 'queries', partition: '0' }
  expect(await read()).toContainEqual({ name: 'rates_door_lag_messages', labels: queries, value: 4 })
  expect(await read()).toContainEqual({ name: 'rates_door_lag_seconds', labels: queries, value: 6 })
  expect(await read()).toContainEqual({ name: 'rates_webhooks_oldest_timestamp_seconds', labels: {}, value: 2_000 })
  gauges.show({
    ...state,
    slackSeconds: null,
    webhooks: null,
    lags: state.lags.slice(1),
    doors: state.doors.slice(0, 1),
  })
  expect((await names()).has('rates_ingest_deadline_slack_seconds')).toBe(false)
  expect((await names()).has('rates_webhooks_pending')).toBe(false)
  expect((await read()).filter(({ name }) => name === 'rates_ingest_consumer_lag_messages')).toHaveLength(1)
  expect((await read()).filter(({ name }) => name === 'rates_door_lag_seconds')).toHaveLength(1)
  gauges.hide()
  expect(await read()).toEqual([])
})
