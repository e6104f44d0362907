import { describe, expect, it } from '@jest/globals'
import { ReplyInbox } from './reply-inbox.ts'

const record = (batchId: string, body: object | string) => ({
  headers: new Map([['batch-id', batchId]]),
  value: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
})

describe('ReplyInbox', () => {
  it('takes the first reply to its batch and no other record', async () => {
    const inbox = new ReplyInbox('b', false)
    inbox.take({ headers: new Map(), value: null })
    inbox.take(record('a', { batchId: 'a', dryRun: false, state: 'failed' }))
    inbox.take(record('b', 'no JSON'))
    inbox.take(record('b', { batchId: 'b', dryRun: true, state: 'failed' }))
    inbox.take(record('b', { batchId: 'b', dryRun: false, state: 'id_conflict' }))
    inbox.take(record('b', { batchId: 'b', dryRun: false, state: 'cancelled' }))
    expect((await inbox.first).reply.state).toBe('id_conflict')
    expect((await inbox.outcome).reply.state).toBe('cancelled')
  })
})
