import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chooseRunning, NothingRuns, readState, type State, takeLock, writeState } from './running.ts'

const state: State = {
  supervisor: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  phase: 'running',
  prefix: '',
  processes: [],
  databaseUrl: 'postgres://here/rates',
  brokers: 'here:9092',
  url: 'http://here:8080',
}

describe('chooseRunning', () => {
  it('takes what runs in the clone', () => {
    expect(chooseRunning(state, {}, [])).toEqual({
      databaseUrl: 'postgres://here/rates',
      brokers: 'here:9092',
      url: 'http://here:8080',
      prefix: '',
    })
  })

  it('prefers what the environment names, part by part', () => {
    const env = { KAFKA_BROKERS: 'there:9092', KAFKA_PREFIX: 'staging.', RATES_URL: 'https://rates.example/' }
    expect(chooseRunning(state, env, [])).toEqual({
      databaseUrl: 'postgres://here/rates',
      brokers: 'there:9092',
      url: 'https://rates.example',
      prefix: 'staging.',
    })
  })

  it('needs no more than the command does', () => {
    expect(chooseRunning(undefined, { RATES_URL: 'http://there' }, ['url'])).toEqual({
      url: 'http://there',
      prefix: '',
    })
  })

  it('says what to do where nothing runs, and where not everything is up yet', () => {
    const message = (known: State | undefined, env: NodeJS.ProcessEnv) => {
      try {
        chooseRunning(known, env, [])
      } catch (error) {
        expect(error).toBeInstanceOf(NothingRuns)
        return (error as Error).message
      }
      return undefined
    }
    expect(message(undefined, { RATES_URL: 'http://there' })).toBe(
      'Nothing runs here: start it (npm start), or set DATABASE_URL and KAFKA_BROKERS to what runs elsewhere.',
    )
    const starting: State = { ...state, phase: 'starting' }
    delete starting.url
    expect(message(starting, {})).toBe(
      'What runs here is not ready yet: wait for it, or set RATES_URL to what runs elsewhere.',
    )
  })
})

describe('state and lock', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rates-state-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('reads back what it wrote, and nothing from a missing or broken file', async () => {
    const file = join(folder, 'made', 'state.json')
    expect(await readState(file)).toBeUndefined()
    await writeState(file, state)
    expect(await readState(file)).toEqual(state)
    expect(await readdir(join(folder, 'made'))).toEqual(['state.json'])
    await writeFile(file, '{"supervisor": 1')
    expect(await readState(file)).toBeUndefined()
  })

  it('gives the lock to one, and again after its owner has died', async () => {
    const file = join(folder, 'lock')
    await writeFile(file, '4711\n')
    expect(await takeLock(file, async (pid) => pid === 4711)).toBe(4711)
    expect(await takeLock(file, async () => false)).toBeUndefined()
    expect(await readFile(file, 'utf8')).toBe(`${process.pid}\n`)
  })
})
