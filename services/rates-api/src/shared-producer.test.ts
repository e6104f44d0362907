import { expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { SendFailed, SharedProducer } from './shared-producer.ts'

const settings = { brokers: ['127.0.0.1:1'], clientId: 'test', log: createLogger('test', 'fatal') }

it('waits for no acknowledgement for ever, and whoever comes next gets another connection', async () => {
  const connected: string[] = []
  const connect = () => {
    const name = `producer ${connected.push('')}`
    const send = () => (name === 'producer 1' ? new Promise<void>(() => undefined) : Promise.resolve())
    return Promise.resolve({ send, close: () => Promise.resolve() })
  }
  const shared = new SharedProducer(settings, connect, 20)
  const first = await shared.acquire()
  await expect(first.send([])).rejects.toThrow(SendFailed)
  await (await shared.acquire()).send([])
  expect(connected).toHaveLength(2)
  await shared.close()
})
