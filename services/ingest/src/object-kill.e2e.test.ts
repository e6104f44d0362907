import { beforeAll, describe, expect, it } from '@jest/globals'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy } from '@rates/testing/fault-proxy'
import { expectInvariants } from '@rates/testing/invariants'
import { observe } from '@rates/testing/observer'
import { testObjectStore } from '@rates/testing/object-store'
import { startWorkerProcess } from '@rates/testing/workers'
import { named, runOut, startObjectLine, type ObjectLine } from './test-objects.ts'

// Leases of dead workers are ended by the test: nobody waits half a minute for each.

beforeAll(async () => void (await testObjectStore()), 600_000)

async function onLine(work: (line: ObjectLine) => Promise<void>): Promise<void> {
  const line = await startObjectLine({ partitions: 4 })
  try {
    await work(line)
  } finally {
    await line.close()
  }
}

const dead = { code: null, signal: 'SIGKILL' }

describe('a worker that loads an object', () => {
  it(
    'is killed in the middle of a million rows: another one finishes it, once',
    () =>
      onLine(async (line) => {
        const batch = testBatch(1_000_000)
        await line.put('million.csv', csv(batch.lines))
        const observer = await observe(line, [{ batch }], { everyMilliseconds: 50 })
        const doomed = await startWorkerProcess(line, { ...line.settings, FAILPOINTS: 'sent-object-chunk@15' })
        await line.claim({ key: 'million.csv' }, named(batch))
        expect(await doomed.exited).toEqual(dead)
        const other = await startWorkerProcess(line, line.settings)
        await runOut(line)
        await line.reply(batch.id, 120_000)
        await observer.sampled()
        const observation = await observer.stop()
        await expectInvariants(line, [{ batch }], { observation, within: 60_000, compared: () => false })
        expect(await other.said('object sent')).toMatchObject({ batch_id: batch.id, rows: 1_000_000 })
        expect(await line.tagged('million.csv', 'succeeded')).toMatchObject({ 'rates-batch': batch.id })
      }),
    240_000,
  )

  it(
    'is told to stop: another one goes on where it was, at once',
    () =>
      onLine(async (line) => {
        const batch = testBatch(200_000)
        const body = csv(batch.lines)
        await line.put('drained.csv', body)
        const held = line.door.hold(Math.floor(body.length * 0.8))
        const first = await startWorkerProcess(line, line.settings)
        await line.claim({ key: 'drained.csv' }, named(batch))
        await held.reached
        const other = await startWorkerProcess(line, line.settings)
        await eventually(async () => (await line.loads())[0]!.chunks > 0, {
          within: 20_000,
          what: 'chunks being noted',
        })
        first.signal('SIGTERM')
        await held.left
        expect(await first.exited).toEqual({ code: 0, signal: null })
        await line.reply(batch.id, 60_000)
        expect(await other.said('object sent')).toMatchObject({ batch_id: batch.id })
        expect(await line.loads()).toMatchObject([{ attempts: 0, quarantined: false }])
        await expectInvariants(line, [{ batch }], { compared: () => false })
      }),
    180_000,
  )

  it(
    'is paused for longer than its lease: what it sends afterwards are repetitions',
    () =>
      onLine(async (line) => {
        const batch = testBatch(400_000)
        const body = csv(batch.lines)
        await line.put('paused.csv', body)
        const bulk = await line.watch(line.topics.bulk)
        // It cannot ask whether its lease is still its own.
        const database = await startFaultProxy(line.databaseUrl)
        line.defer(() => database.close())
        const held = line.door.hold(Math.floor(body.length * 0.4))
        const paused = await startWorkerProcess(line, { ...line.settings, DATABASE_URL: database.url })
        await line.claim({ key: 'paused.csv' }, named(batch))
        await held.reached
        await startWorkerProcess(line, line.settings)
        paused.signal('SIGSTOP')
        database.down()
        const other = line.door.hold(Math.floor(body.length * 0.9))
        await runOut(line)
        await other.reached
        paused.signal('SIGCONT')
        held.goOn()
        await paused.said('an object: sent: trying again')
        database.up()
        other.goOn()
        await line.reply(batch.id, 120_000)
        await paused.said('object sent, by others too')
        await expectInvariants(line, [{ batch }], { within: 60_000, compared: () => false })
        const sent = Map.groupBy(await bulk.all(), ({ headers }) => headers.get('chunk'))
        const repeated = [...sent.values()].filter((records) => records.length > 1)
        expect(repeated.length).toBeGreaterThan(1)
        for (const [first, ...others] of repeated) for (const { value } of others) expect(value).toEqual(first!.value)
        const ended = async () => (await line.loads()).every(({ state }) => state === 'ended')
        await eventually(ended, { within: 30_000, what: 'the row being ended' })
        expect(await line.loads()).toMatchObject([{ quarantined: false }])
      }),
    240_000,
  )

  it(
    'is ended by it three times: the object is set aside, and others are loaded',
    () =>
      onLine(async (line) => {
        const [poison, other] = [testBatch(100), testBatch(100)]
        await line.put('poison.csv', csv(poison.lines))
        await line.put('other.csv', csv(other.lines))
        await line.claim({ key: 'poison.csv' }, named(poison))
        for (let death = 1; death <= 3; death++) {
          const doomed = await startWorkerProcess(line, { ...line.settings, FAILPOINTS: 'took-object' })
          expect(await doomed.exited).toEqual(dead)
          await runOut(line)
        }
        await startWorkerProcess(line, line.settings)
        await line.claim({ key: 'other.csv' }, named(other))
        expect(await line.reply(poison.id, 60_000)).toMatchObject({ error: { code: 'internal_error' } })
        await line.reply(other.id, 60_000)
        await expectInvariants(line, [{ batch: poison, state: 'failed', error: 'internal_error' }, { batch: other }])
        expect(await line.loads()).toMatchObject([{ quarantined: true }, { quarantined: false }])
      }),
    240_000,
  )
})
