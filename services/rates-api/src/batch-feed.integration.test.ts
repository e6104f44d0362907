import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { createPool } from '@rates/service/postgres'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import { BatchFeed, type Change, type Watcher } from './batch-feed.ts'
import { Ledger, ledgerSource } from './ledger.ts'
import { endTestBatch, openTestBatch, storeTestChunk } from './test-ledger.ts'

let database: TestDatabase
let proxy: FaultProxy
beforeAll(async () => {
  database = await createTestDatabase()
  proxy = await startFaultProxy(database.url)
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

const logged: Record<string, unknown>[] = []

/** A feed of its own, and how often it has looked. */
function startFeed() {
  const log = createLogger('test', 'info', {
    write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>),
  })
  const pool = createPool(proxy.url, { name: 'test', max: 2, log: createLogger('test', 'silent') })
  const ledger = new Ledger(ledgerSource(proxy.url, 2), { publicUrl: '', logTemplate: undefined })
  const feed = new BatchFeed({ pool, ledger, log })
  const counted = { looks: 0 }
  pool.on('acquire', () => counted.looks++)
  const close = async (): Promise<void> => {
    await feed.close()
    await ledger.close()
    await pool.end()
  }
  return { feed, counted, close }
}

class Seen implements Watcher {
  readonly of?: { id: string; dryRun: boolean } | undefined
  readonly changes: Change[] = []
  firsts = 0

  constructor(id?: string) {
    if (id !== undefined) this.of = { id, dryRun: false }
  }

  take(changes: readonly Change[], first: boolean): void {
    if (first) this.firsts++
    this.changes.push(...changes)
  }

  told(is: (change: Change) => boolean): Promise<true> {
    return eventually(() => Promise.resolve(this.changes.some(is)), { every: 5, what: 'a change being told' })
  }
}

const looks = (of: { looks: number }, more: number): Promise<true> => {
  const from = of.looks
  return eventually(() => Promise.resolve(of.looks >= from + more), { every: 10, what: `${more} more looks` })
}

describe('the feed of batches', () => {
  it('looks only while somebody watches, once for all', async () => {
    const [watched, other] = [startFeed(), startFeed()]
    const [first, second] = [new Seen(), new Seen('one')]
    const ends = [watched.feed.watch(first), watched.feed.watch(second)]
    await looks(watched.counted, 3)
    expect([first.firsts, second.firsts]).toEqual([1, 1])
    ends.forEach((end) => end())
    const end = other.feed.watch(new Seen())
    await looks(other.counted, 1) // one that was going on
    const before = watched.counted.looks
    await looks(other.counted, 4)
    expect(watched.counted.looks).toBe(before)
    end()

    const again = new Seen('one')
    const leave = watched.feed.watch(again)
    await eventually(() => Promise.resolve(again.firsts === 1))
    leave()
    await watched.close()
    await other.close()
  })

  it('reads a batch once for all who are told of it', async () => {
    const { feed, close } = startFeed()
    const no = await openWith('shared')
    const watchers = [new Seen(), new Seen(), new Seen('shared')]
    watchers.forEach((watcher) => feed.watch(watcher))
    await Promise.all(watchers.map((watcher) => watcher.told(({ batch }) => batch.id === 'shared')))
    await write(async (pool) => {
      await storeTestChunk(pool, no, 0, { total: 1 })
      await endTestBatch(pool, no)
    })
    await Promise.all(watchers.map((watcher) => watcher.told(({ batch }) => batch.state === 'succeeded')))
    const last = watchers.map(({ changes }) => changes.at(-1)!)
    expect(new Set(last).size).toBe(1)
    expect(JSON.parse(last[0]!.json)).toEqual(last[0]!.batch)
    await close()
  })

  it('looks at once for whoever comes, and when it is told that something has changed', async () => {
    const [nudged, other] = [startFeed(), startFeed()]
    for (const { feed } of [nudged, other]) feed.watch(new Seen('never'))
    await Promise.all([looks(nudged.counted, 2), looks(other.counted, 2)])
    const [before, otherBefore] = [nudged.counted.looks, other.counted.looks]
    for (let i = 1; i <= 10; i++) {
      if (i % 2 === 0) nudged.feed.nudge()
      else nudged.feed.watch(new Seen('never'))
      await eventually(() => Promise.resolve(nudged.counted.looks >= before + i), { every: 1 })
    }
    expect(other.counted.looks - otherBefore).toBeLessThan(8)
    await nudged.close()
    await other.close()
  })

  it('tries again while PostgreSQL is away, says so once, and goes on', async () => {
    logged.length = 0
    const { feed, close } = startFeed()
    const all = new Seen()
    const one = new Seen('outage')
    feed.watch(all)
    feed.watch(one)
    await eventually(() => Promise.resolve(all.firsts === 1 && one.firsts === 1))
    const refused = proxy.refused()
    proxy.down()
    await eventually(() => Promise.resolve(proxy.refused() >= refused + 3), { what: 'trying again' })
    const late = new Seen('outage')
    feed.watch(late)
    await write((pool) => openTestBatch(pool, 'outage', { state: 'succeeded' }))
    proxy.up()
    for (const watcher of [all, one, late]) await watcher.told(({ batch }) => batch.id === 'outage')
    expect(all.firsts).toBe(1)
    await close()
    expect(logged.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'cannot follow batches: trying again'],
      ['info', 'batches are followed again'],
    ])
    expect(logged[1]!['failures']).toBeGreaterThanOrEqual(3)
  })
})

/** Not through the proxy. */
async function write<T>(work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
  const pool = createPool(database.url, { name: 'test', max: 1, log: createLogger('test', 'silent') })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

const openWith = (id: string): Promise<bigint> => write((pool) => openTestBatch(pool, id))
