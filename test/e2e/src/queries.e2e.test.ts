import { afterEach, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { startApiProcess } from '@rates/testing/workers'
import { startOwnServers, type OwnServers } from './own-servers.ts'
import { askOften, expectOneAnswerEach } from './query-answers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

describe('a broker that goes away while queries are answered', () => {
  it('comes back to find each of them answered once; the API has gone on without it', async () => {
    servers = await startOwnServers({ partitions: 2 })
    const { line, kafka } = servers
    const api = await startApiProcess(line)
    const query = { query: 'batch', id: 'nobody' }
    // Its first answers are noted, and wait: the broker is away when they are to be sent.
    const holding = await line.pool.connect()
    await holding.query('begin; lock table query_answers in share mode')
    await askOften(line, query, 200)
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%insert into query_answers%'`
    await eventually(async () => (await line.pool.query(waiting)).rowCount! > 0, { what: 'answers to be noted' })
    await kafka.kill('SIGKILL')
    await holding.query('commit')
    holding.release()
    await api.said('answers: trying again', 60_000)
    expect((await fetch(`${api.url}/batches`)).status).toBe(200)
    await kafka.startAgain()
    await expectOneAnswerEach(line, 200)
    await askOften(line, query, 200, 200)
    await expectOneAnswerEach(line, 400)
    api.signal('SIGTERM')
    expect(await api.exited).toEqual({ code: 0, signal: null })
  }, 240_000)
})
