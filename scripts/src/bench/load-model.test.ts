import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { closedModel, openModel } from './load-model.ts'

describe('the open model', () => {
  test('charges a pause of the server to all who came in it', async () => {
    // One connection, a request each 10 ms, and the first takes 200: the 19 that are due meanwhile wait for it.
    const send = (_: number, request: number): Promise<unknown> => (request === 0 ? sleep(200) : Promise.resolve())
    const samples = await openModel(async (...args) => void (await send(...args)), {
      rate: 100,
      connections: 1,
      seconds: 0.4,
    })
    expect(samples).toHaveLength(40)
    const waits = samples.map((each) => each.ms)
    expect(waits[1]).toBeGreaterThan(180)
    expect(waits[10]).toBeGreaterThan(90)
    expect(waits.filter((each) => each > 5).length).toBeGreaterThanOrEqual(19)
  })

  test('counts from the moment a request was due', async () => {
    const samples = await openModel(() => Promise.resolve(), { rate: 200, connections: 4, seconds: 0.2 })
    const due = samples.map((each) => each.at).sort((a, b) => a - b)
    due.forEach((at, i) => expect(at - due[0]!).toBeCloseTo(i * 5, 0))
    expect(due).toHaveLength(40)
  })

  test('ends when it is told', async () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    const started = performance.now()
    await openModel(() => Promise.resolve(), { rate: 100, connections: 2, seconds: 60, signal: stop.signal })
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  test('fails with what a request fails with', async () => {
    const failing = openModel(() => Promise.reject(new Error('503')), { rate: 100, connections: 2, seconds: 0.1 })
    await expect(failing).rejects.toThrow('503')
  })
})

test('the closed model sends the next when the last was answered', async () => {
  let inFlight = 0
  let most = 0
  const samples = await closedModel(
    async () => {
      most = Math.max(most, ++inFlight)
      await sleep(5)
      inFlight--
    },
    { connections: 3, seconds: 0.1 },
  )
  expect(most).toBe(3)
  expect(samples.length).toBeGreaterThanOrEqual(3)
  expect(samples.every((each) => each.ms >= 4)).toBe(true)
})
