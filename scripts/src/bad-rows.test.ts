import { afterEach, describe, expect, it } from '@jest/globals'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { openErrors } from './bad-rows.ts'

const SILENCE_MILLISECONDS = 50

let server: Server
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function serve(handle: (answer: ServerResponse) => void): Promise<string> {
  server = createServer((_, answer) => handle(answer))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const line = (row: number): string => `${JSON.stringify({ row })}\n`

describe('openErrors', () => {
  it('gives whoever reads the rows all the time there is', async () => {
    let answer: ServerResponse
    const url = await serve((each) => {
      answer = each
      answer.write(line(1) + line(2))
    })
    const rows = (await openErrors({ url, id: 'a', dryRun: false }, SILENCE_MILLISECONDS))[Symbol.asyncIterator]()
    expect(await rows.next()).toMatchObject({ value: { row: 1 } })
    await sleep(3 * SILENCE_MILLISECONDS) // a page of `less` is full
    answer!.end(line(3))
    expect(await rows.next()).toMatchObject({ value: { row: 2 } })
    expect(await rows.next()).toMatchObject({ value: { row: 3 } })
    expect(await rows.next()).toMatchObject({ done: true })
  })

  it('ends when nothing comes that is waited for', async () => {
    const url = await serve((answer) => void answer.write(line(1)))
    const rows = (await openErrors({ url, id: 'a', dryRun: false }, SILENCE_MILLISECONDS))[Symbol.asyncIterator]()
    expect(await rows.next()).toMatchObject({ value: { row: 1 } })
    await expect(rows.next()).rejects.toThrow('cannot be reached: it sends nothing.')
  })
})
