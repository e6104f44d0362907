import { beforeEach, describe, expect, it } from '@jest/globals'
import { type IncomingRecord } from '@rates/service/kafka'
import { createLogger } from '@rates/service/log'
import { Registry } from 'prom-client'
import { type Claim } from './claim-store.ts'
import { type FreshAnswer, type QueryAnswerer } from './query-answerer.ts'
import { type NotedAnswer, type QueryAnswers } from './query-answers.ts'
import { QueryLots } from './query-lots.ts'
import { queryMetrics } from './query-metrics.ts'
import { type QuerySender } from './query-sender.ts'
import { Slots } from './slots.ts'

const away = Object.assign(new Error('away'), { code: '57P01' })
const claim = (id: string): Claim => ({ id, bytes: 1, sha256: '', contentType: 'text/csv', expiresAt: new Date(0) })

/** What has happened, in its order. */
let seen: string[]
/** By the id that a query asks for: what comes instead of its answer. */
let faults: Map<string, () => Error | undefined>
/** Whose answers another process has noted before. */
let others: Set<bigint>
let notes: (() => Error | undefined) | undefined
beforeEach(() => {
  seen = []
  faults = new Map()
  others = new Set()
  notes = undefined
})

const record = (offset: number, read: () => unknown = () => undefined): IncomingRecord => ({
  topic: 'q',
  partition: 0,
  offset: BigInt(offset),
  key: null,
  timestamp: 1,
  headers: new Map(),
  get value() {
    read()
    return Buffer.from(JSON.stringify({ query: 'batch', id: String(offset) }))
  },
})
const ids = (of: readonly { id: string }[]): string => of.map(({ id }) => id).join()

/** Every answer is put away, as the claim `c<offset>`. */
function take(records: readonly IncomingRecord[], onDone: () => unknown = () => undefined): Promise<void> {
  const answer = ({ question }: { question: object }): Promise<FreshAnswer> => {
    const { id } = question as { id: string }
    const fault = faults.get(id)?.()
    if (fault) return Promise.reject(fault)
    return Promise.resolve({ status: 200, contentType: 'c', body: Buffer.from(id), claim: claim(`c${id}`) })
  }
  const note: QueryAnswers['note'] = async (answers, seal) => {
    const fault = notes?.()
    if (fault) throw fault
    const ours = answers.map(({ answer }) => answer).filter(({ offset }) => !others.has(offset))
    await seal({} as never, new Set(ours.map(({ offset }) => offset)))
    return answers.map(({ answer }) => answer)
  }
  const lots = new QueryLots({
    topics: { replies: 'r', allowed: [] },
    answerer: { answer } as unknown as QueryAnswerer,
    answers: { find: () => Promise.resolve(new Map<bigint, NotedAnswer>()), note } as unknown as QueryAnswers,
    sender: {
      send: (all: readonly { value: Buffer }[]) =>
        Promise.resolve(void seen.push(`sent ${all.map(({ value }) => value.toString()).join()}`)),
    } as unknown as QuerySender,
    claims: {
      seal: (_, claims) => Promise.resolve(void seen.push(`sealed ${ids(claims)}`)),
      discard: (claims) => Promise.resolve(claims.length > 0 ? void seen.push(`discarded ${ids(claims)}`) : undefined),
    },
    slots: new Slots(4),
    hasGoneOn: () => Promise.resolve(false),
    mayFinish: () => false,
    metrics: queryMetrics(new Registry()),
    log: createLogger('test', 'silent'),
  })
  const done = ({ offset }: IncomingRecord): Promise<void> => {
    onDone()
    return Promise.resolve(void seen.push(`done ${offset}`))
  }
  return lots.take(records, { signal: new AbortController().signal, done })
}

/** Throws so many times. */
const times = (count: number, error: Error) => () => (count-- > 0 ? error : undefined)

describe('a lot of queries', () => {
  it('is read when it is its turn, and done when it is sent', async () => {
    const read = new Set<number>()
    const readThen: number[] = []
    const all = Array.from({ length: 250 }, (_, i) => record(i, () => read.add(i)))
    await take(all, () => readThen.push(read.size))
    expect(seen.filter((each) => each.startsWith('done'))).toEqual(['done 99', 'done 199', 'done 249'])
    expect(readThen).toEqual([100, 200, 250])
  })

  it('of which one waits: those before it are sent, those behind it put nothing away again and again', async () => {
    faults.set('2', times(3, away))
    await take([0, 1, 2, 3, 4].map((offset) => record(offset)))
    expect(seen).toEqual([
      'discarded c3', // the fourth slot; more were not begun
      'sealed c0,c1',
      'sent 0,1',
      'done 1',
      'discarded c3', // they are in the next lot, which fails once as a whole
      'sealed c2', // by itself, at its third try
      'sent 2',
      'done 2',
      'sealed c3,c4',
      'sent 3,4',
      'done 4',
    ])
  })

  it('that could not be noted: what was put away for it goes', async () => {
    notes = times(1, away)
    await take([0, 1].map((offset) => record(offset)))
    expect(seen).toEqual(['discarded c0,c1', 'sealed c0', 'sent 0', 'done 0', 'sealed c1', 'sent 1', 'done 1'])
  })

  it('that another process answered first: what was put away for nothing goes', async () => {
    others.add(1n)
    await take([0, 1, 2].map((offset) => record(offset)))
    expect(seen).toEqual(['sealed c0,c2', 'discarded c1', 'sent 0,1,2', 'done 2'])
  })
})
