import { describe, expect, it } from '@jest/globals'
import { type OutgoingRecord } from '@rates/service/kafka'
import { createLogger, type Logger } from '@rates/service/log'
import { QuerySender } from './query-sender.ts'

const refused = (type: string) => Object.assign(new Error(type), { type })
const answer = (topic: string, name: string, bytes = 1, key: string | null = null): OutgoingRecord => ({
  topic,
  key: key === null ? null : Buffer.from(key),
  headers: { name },
  value: Buffer.alloc(bytes),
})

/** A cluster whose topics take what `send` does not throw for. */
function cluster(send: (records: readonly OutgoingRecord[]) => void, log = createLogger('test', 'silent')) {
  const sent: string[] = []
  const stopping = new AbortController()
  let diverted = 0
  const sender = new QuerySender({
    producer: {
      send: (records) => {
        try {
          send(records)
        } catch (error) {
          return Promise.reject(error as Error)
        }
        for (const { topic, headers } of records) sent.push(`${topic} ${headers['name']}`)
        return Promise.resolve()
      },
    },
    admin: {
      topics: () => Promise.resolve(['replies', 'own']),
      describeTopic: () =>
        Promise.resolve({
          partitions: 1,
          replication: 1,
          inSync: 1,
          leaderless: 0,
          config: { 'max.message.bytes': '50' },
        }),
    },
    replies: 'replies',
    onDiverted: () => diverted++,
    log,
  })
  const all = (records: readonly OutgoingRecord[]): Promise<void> => sender.send(records, stopping.signal)
  return { sent, send: all, stop: () => stopping.abort(), diverted: () => diverted }
}

const tooLarge = (limit: number) => (records: readonly OutgoingRecord[]) => {
  if (records.reduce((sum, { value }) => sum + value!.length, 0) > limit) throw refused('MESSAGE_TOO_LARGE')
}

describe('answers', () => {
  it('go to the default topic one by one where it takes them only so', async () => {
    const { sent, send } = cluster(tooLarge(50))
    await send([answer('replies', 'a', 40), answer('replies', 'b', 40)])
    expect(sent).toEqual(['replies a', 'replies b'])
  })

  it('that the default topic refuses wait, with what comes after them of their key, and it is told loudly', async () => {
    let limit = 50
    const told: object[] = []
    const log = { warn: () => undefined, error: (details: object) => void told.push(details) } as unknown as Logger
    const { sent, send } = cluster((records) => tooLarge(limit)(records), log)
    const sending = send([
      answer('replies', 'a', 60, 'one'),
      answer('replies', 'b', 10, 'one'),
      answer('replies', 'c', 10, 'two'),
    ])
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(told[0]).toEqual({ topic: 'replies', 'max.message.bytes': '50', bytes: 1063 })
    expect(sent).toEqual(['replies c'])
    limit = 100
    await sending
    expect(sent).toEqual(['replies c', 'replies a', 'replies b'])
  })

  it('wait for a default topic that stops taking them, and no longer than until the stop', async () => {
    const down = cluster(() => {
      throw refused('LEADER_NOT_AVAILABLE')
    })
    const sending = down.send([answer('replies', 'a')])
    down.stop()
    await expect(sending).rejects.toThrow('stopped')
  })

  it('of a topic that refuses one of them and fails for another go to the default one after three failures', async () => {
    let tries = 0
    const { sent, send, diverted } = cluster((records) => {
      if (records[0]!.topic === 'replies') return
      tooLarge(50)(records)
      if (records.some(({ headers }) => headers['name'] === 'b') && ++tries > 0) throw refused('NOT_ENOUGH_REPLICAS')
    })
    const records = [answer('own', 'a', 60), answer('own', 'b', 1), answer('own', 'c', 1)]
    await send(records)
    expect(tries).toBe(3)
    expect(sent).toEqual(['replies a', 'replies b', 'replies c'])
    expect(diverted()).toBe(3)
    // It rests: nothing is tried there for a while.
    await send(records)
    expect(tries).toBe(3)
  })
})
