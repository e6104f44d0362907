import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startLine, type Line } from '@rates/testing/line'
import { programSettings, runRates } from '@rates/testing/program'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { startTestDoor, type TestDoor } from '../../../services/rates-api/src/test-queries.ts'

let line: Line
let api: TestDoor
let env: Record<string, string>

beforeAll(async () => {
  line = await startLine({ partitions: 2 })
  const settings = programSettings(line)
  api = await startTestDoor(line, { env: settings })
  env = { ...settings, RATES_URL: api.app.url }
})
afterAll(() => line.close())

it('says that no reply came where no worker runs', async () => {
  const { code, err } = await runRates(env, 'check', '--timeout', '1s')
  expect(err).toMatch(/^No reply to check-[0-9a-f]{16} came within 1 s: does an ingest worker run\?\n$/)
  expect(code).toBe(3)
})

it('sends three prices, reads them back and reverts them; once more, too', async () => {
  await startTestWorker(line)
  for (let i = 0; i < 2; i++) {
    const { code, out, err } = await runRates(env, 'check')
    expect(err).toBe('')
    expect(out).toMatch(/^batch +check-[0-9a-f]{16}: 3 rows succeeded, replied after \d+\.\d\d s$/m)
    expect(out).toMatch(/^rates +\d{4}-\d\d-\d\d: the average of 3 prices is 250$/m)
    expect(out).toMatch(/^query +the same by a message, answered after \d+\.\d\d s$/m)
    expect(out).toMatch(/^revert +nothing of check-[0-9a-f]{16} is visible any more$/m)
    expect(code).toBe(0)
  }
  const { rows } = await line.pool.query(
    `select state, count(*)::int from batches where source = 'rates-check' group by state`,
  )
  expect(rows).toContainEqual({ state: 'reverted', count: 2 })
})

it.each([
  ['an API that is not there', { RATES_URL: 'http://127.0.0.1:1' }, 'The API at http://127.0.0.1:1 cannot be reached'],
  ['brokers that are not there', { KAFKA_BROKERS: '127.0.0.1:1' }, 'Kafka cannot be reached at 127.0.0.1:1'],
])('tells %s', async (_, settings, said) => {
  const { code, err } = await runRates({ ...env, ...settings }, 'check')
  expect(err).toContain(said)
  expect(code).toBe(3)
})

it('says that no query is answered, reverts all the same, and asks none where it is told so', async () => {
  await api.stop()
  const { code, out, err } = await runRates(env, 'check', '--timeout', '3s')
  expect(err).toBe('No answer to a query came within 3 s: does an API run that answers them?\n')
  expect(out).not.toMatch(/^revert/m)
  expect(code).toBe(3)
  expect(await runRates(env, 'check', '--no-queries')).toMatchObject({ code: 0, err: '' })
  // Two above, two here.
  const { rows } = await line.pool.query(
    `select count(*)::int from batches where source = 'rates-check' and state = 'reverted'`,
  )
  expect(rows).toEqual([{ count: 4 }])
})
