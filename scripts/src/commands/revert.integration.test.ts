import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { seedCatalog, seedPrices, startTestApp, type TestApp } from '../../../services/rates-api/src/test-app.ts'

const program = fileURLToPath(new URL('../rates.ts', import.meta.url))
let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
  await seedCatalog(api.pool, ['world'], ['AAAAA:world', 'BBBBB:world'])
})
afterAll(() => api.close())

interface Ended {
  code: number
  out: string
  err: string
}
function run(args: string[], url = api.url): Promise<Ended> {
  const env: NodeJS.ProcessEnv = { ...process.env, RATES_URL: url }
  delete env['NODE_OPTIONS'] // Jest's
  const flags = ['--conditions=source', '--disable-warning=TimeoutNegativeWarning', program]
  return new Promise((resolve) =>
    execFile(process.execPath, [...flags, ...args], { env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    ),
  )
}
const seed = (id: string, count: number): Promise<bigint> =>
  seedPrices(
    api.pool,
    id,
    Array.from({ length: count }, () => ['AAAAA', 'BBBBB', '2021-01-01', 7] as const),
  )
const open = (id: string, dryRun = false): Promise<unknown> =>
  api.pool.query(`insert into batches (id, dry_run, state) values ($1, $2, 'open')`, [id, dryRun])

describe('rates revert', () => {
  it('tells what is gone and what is visible again; once more, that nothing changed', async () => {
    await seed('old', 2)
    await api.pool.query(`update batches set rows_accepted = 2 where id = 'old'`)
    await seed('new', 3)
    await api.pool.query(`update batches set rows_accepted = 3, replaces = 'old' where id = 'new'`)
    await api.pool.query(`insert into hidden_batches select no from batches where id = 'old'`)
    await api.pool.query(`update batches set state = 'replaced', replaced_by = 'new' where id = 'old'`)

    const refused = await run(['revert', 'old'])
    expect(refused).toEqual({ code: 1, out: '', err: 'Batch old was replaced by new: revert that one.\n' })
    expect(await run(['revert', 'new'])).toEqual({
      code: 0,
      out: 'reverted: new, 3 rows; nothing of it is visible any more\nvisible again: old, 2 rows, which it had replaced\n',
      err: '',
    })
    const again = await run(['revert', 'new'])
    expect(again.out).toMatch(/^reverted before, at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: new; nothing changed\n$/)
    expect(again.code).toBe(0)
  })

  it('prints the batch as JSON', async () => {
    await seed('json', 1)
    const { code, out } = await run(['revert', 'json', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ id: 'json', state: 'reverted' })
  })

  it.each([
    ['no such batch', ['nobody'], undefined, 1, 'There is no batch nobody.'],
    ['no id', [], undefined, 2, "missing required argument 'ID'"],
    ['an API that is not there', ['json'], 'http://127.0.0.1:1', 3, 'The API at http://127.0.0.1:1 cannot be reached'],
  ])('tells %s', async (_, args, url, code, message) => {
    const ended = await run(['revert', ...args], url)
    expect(ended).toMatchObject({ code, out: '', err: expect.stringContaining(message) })
  })
})

describe('rates cancel', () => {
  it('ends what is loading, and refuses what has ended', async () => {
    await open('going')
    await open('going', true)
    expect(await run(['cancel', 'going', '--dry-run'])).toMatchObject({ code: 0 })
    expect((await api.get('/batches/going')).body).toMatchObject({ state: 'pending' })
    expect(await run(['cancel', 'going'])).toEqual({
      code: 0,
      out: 'cancelled: going: its sender cancelled it; nothing of it is visible\n',
      err: '',
    })
    expect(await run(['cancel', 'nobody', '--dry-run'])).toMatchObject({
      code: 1,
      err: 'There is no dry run nobody.\n',
    })
    await seed('done', 1)
    expect(await run(['cancel', 'done'])).toMatchObject({
      code: 1,
      err: 'Batch done has ended (succeeded): it can be reverted.\n',
    })
  })
})
