import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** As node-postgres sends it: a simple query, `commit`. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1')

export interface FaultProxy {
  /** The database's URL through the proxy. */
  url: string
  /**
   * The next COMMIT but `skip` costs its connection. `answer`: the server has committed, its answer is lost; `request`:
   * the server never saw it. Resolves when it has happened.
   */
  cutCommit(lost: 'answer' | 'request', skip?: number): Promise<void>
  /** Cuts all connections and takes no new ones until `up()`. */
  down(): void
  up(): void
  /** Connections that were not taken. */
  refused(): number
  close(): Promise<void>
}

/** A TCP proxy in front of PostgreSQL that loses what it is told to lose. */
export async function startFaultProxy(databaseUrl: string): Promise<FaultProxy> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let isDown = false
  let refused = 0
  let fault: { lost: 'answer' | 'request'; skip: number; done: () => void } | undefined

  const server = createServer((client) => {
    if (isDown) {
      refused++
      return void client.destroy()
    }
    const upstream = connect(Number(target.port), target.hostname)
    let answerLost: (() => void) | undefined
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    client.on('data', (data) => {
      if (fault && data.includes(COMMIT) && fault.skip-- === 0) {
        const { lost, done } = fault
        fault = undefined
        if (lost === 'request') {
          cut()
          return done()
        }
        answerLost = done
      }
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (!answerLost) return void client.write(data)
      // That it answers says that it has committed.
      cut()
      answerLost()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    cutCommit: (lost, skip = 0) => new Promise((done) => (fault = { lost, skip, done })),
    down() {
      isDown = true
      cutAll()
    },
    up: () => void (isDown = false),
    refused: () => refused,
    async close() {
      cutAll()
      server.close()
      await once(server, 'close')
    },
  }
}
