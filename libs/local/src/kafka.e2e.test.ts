import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { connectAdmin } from '@rates/service/kafka-admin'
import { createLogger } from '@rates/service/log'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { type RunningKafka, startKafka } from './kafka.ts'

describe('startKafka', () => {
  let dir: string
  let running: RunningKafka | undefined
  const start = async () => {
    const notes: string[] = []
    running = await startKafka({ dir, port: 0, onProgress: (note) => notes.push(note) })
    return { server: running, notes }
  }
  const ask = async <T>(question: (admin: Awaited<ReturnType<typeof connectAdmin>>) => Promise<T>) => {
    const log = createLogger('test', 'silent')
    const admin = await connectAdmin({ brokers: [running!.brokers], clientId: 'test', log })
    try {
      return await question(admin)
    } finally {
      await admin.close()
    }
  }

  beforeAll(async () => {
    dir = join(await temporaryFolder(), 'kafka')
  })
  afterAll(async () => {
    await running?.stop()
    await rm(dirname(dir), { recursive: true, force: true })
  })

  it('keeps its topics when it comes back on other ports after a kill, and ends the one that was left', async () => {
    const first = await start()
    expect(first.notes).toEqual(['creating the broker folder'])
    await ask((admin) => admin.createTopic('kept', 2, 1, {}))
    const { server, notes } = await start()
    expect(notes).toEqual(['ended the broker that a killed run had left'])
    expect((await first.server.exited).signal ?? 'SIGTERM').toBe('SIGTERM')
    expect(server.port).not.toBe(first.server.port)
    expect((await ask((admin) => admin.describeTopic('kept'))).partitions).toBe(2)

    process.kill(server.pid, 'SIGKILL')
    await server.exited
    const third = await start()
    expect(third.notes).toEqual([])
    expect(await ask((admin) => admin.topics())).toContain('kept')
  })
})
