import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { visible } from '@rates/testing/facts'
import { startRetryTest, type RetryTest } from '../../../services/rates-api/src/test-retry.ts'

const program = fileURLToPath(new URL('../rates.ts', import.meta.url))
let test: RetryTest
beforeAll(async () => {
  test = await startRetryTest()
})
afterAll(() => test.close())

interface Ended {
  code: number
  out: string
  err: string
}
function run(args: string[], url = test.api.url): Promise<Ended> {
  const env: NodeJS.ProcessEnv = { ...process.env, RATES_URL: url }
  delete env['NODE_OPTIONS'] // Jest's
  const flags = ['--conditions=source', '--disable-warning=TimeoutNegativeWarning', program]
  return new Promise((resolve) =>
    execFile(process.execPath, [...flags, ...args], { env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    ),
  )
}

describe('rates retry', () => {
  it('runs a batch again, and tells as what', async () => {
    const { batch } = await test.failed()
    const id = `${batch.id}.retry-1`
    expect(await run(['retry', batch.id])).toEqual({
      code: 0,
      out: `${batch.id} runs again as ${id}: rates watch ${id}\n`,
      err: '',
    })
    expect(await test.outcome(id)).toMatchObject({ state: 'failed', retryOf: batch.id })
    const { code, out } = await run(['retry', id, '--id', 'mine', '--deadline', '+10m', '--json'])
    expect([code, JSON.parse(out)]).toMatchObject([0, { id: 'mine', retryOf: id }])
    const { deadline } = await test.outcome('mine')
    expect(Date.parse(deadline!) - Date.now()).toBeGreaterThan(500_000)
  })

  it('waits for the outcome', async () => {
    const { batch, addPort } = await test.failed()
    const first = await run(['retry', batch.id, '--wait'])
    expect(first.code).toBe(1)
    expect(first.out).toContain(`batch ${batch.id}.retry-1, which runs ${batch.id} again\n`)
    expect(first.out).toContain('30 of 30 rows break a rule; nothing of the batch is visible')
    expect(first.out).toContain('unknown_port')
    await addPort()
    const { code, out } = await run(['retry', batch.id, '--wait'])
    expect(out).toMatch(/^batch .*\nsucceeded: \S+\.retry-2: 30 rows in 3 chunks, at \d{4}-.* UTC\n$/)
    expect(code).toBe(0)
    expect(await visible(test.line, batch)).toBe('all')
    expect(await run(['retry', batch.id])).toEqual({
      code: 1,
      out: '',
      err: `The prices of batch ${batch.id} are visible as batch ${batch.id}.retry-2: revert that one first.\n`,
    })
    await test.post(`/batches/${batch.id}.retry-2/revert`)
    const json = await run(['retry', batch.id, '--wait', '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ id: `${batch.id}.retry-3`, state: 'succeeded', retryOf: batch.id })
  })

  it.each([
    ['no such batch', ['nobody'], undefined, 1, 'There is no batch nobody.\n'],
    ['no id', [], undefined, 2, "missing required argument 'ID'"],
    ['no time', ['x', '--deadline', 'soon'], undefined, 2, '--deadline: "soon" is neither a time as'],
    ['no id of a batch', ['x', '--id', 'a b'], undefined, 2, 'batch-id: "a b" is not 1 to 128 of'],
    ['an API that is not there', ['x'], 'http://127.0.0.1:1', 3, 'The API at http://127.0.0.1:1 cannot be reached'],
  ])('tells %s', async (_, args, url, code, message) => {
    const ended = await run(['retry', ...args], url)
    expect(ended).toMatchObject({ code, out: '', err: expect.stringContaining(message) })
  })
})
