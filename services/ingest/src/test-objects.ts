import { testObjectStore, type PutOptions, type TestObjectStore } from '@rates/testing/object-store'
import { type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { OBJECT_TYPE } from '@rates/core/wire'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'

/** A line with a bucket of its own, whose store is reached through a door that can be held. */
export interface ObjectLine extends Line {
  store: TestObjectStore
  bucket: string
  door: StoreDoor
  /** Of a worker that loads from the bucket. */
  settings: Record<string, string>
  /** Writes the key that workers have anew. */
  setSecret(secret: string): Promise<void>
  /** @returns the ETag, without its quotes */
  put(key: string, body: string | Uint8Array, options?: PutOptions): Promise<string>
  /** Asks for an object, by a record on the first lane. */
  claim(claim: Record<string, unknown>, headers?: Record<string, string>): Promise<void>
  tags(key: string): Promise<Record<string, string>>
  /** Waits until the object's tag says so. */
  tagged(key: string, state: string): Promise<Record<string, string>>
  loads(): Promise<LoadRow[]>
}

export interface LoadRow {
  state: string
  chunks: number
  attempts: number
  waits: number
  note: string | null
  quarantined: boolean
  repeats: boolean
  leasedBy: string | null
}

export async function startObjectLine(options: { partitions?: number } = {}): Promise<ObjectLine> {
  const store = await testObjectStore()
  const line = await startLine({ partitions: options.partitions ?? 2 })
  const bucket = await store.bucket()
  const door = await openDoor(store.endpoint)
  line.defer(() => door.close())
  const folder = await temporaryFolder()
  line.defer(() => rm(folder, { recursive: true }))
  const [id, secret] = [join(folder, 'id'), join(folder, 'secret')]
  await writeFile(id, store.credentials.accessKeyId)
  await writeFile(secret, store.credentials.secretAccessKey)
  const tags = (key: string): Promise<Record<string, string>> => store.tags(bucket, key)
  return {
    ...line,
    store,
    bucket,
    door,
    settings: {
      OBJECT_BUCKETS: bucket,
      S3_ENDPOINT: door.url,
      S3_REGION: store.region,
      S3_ACCESS_KEY_ID_FILE: id,
      S3_SECRET_ACCESS_KEY_FILE: secret,
    },
    setSecret: (text) => writeFile(secret, text),
    put: async (key, body, put) => (await store.put(bucket, key, body, put)).replaceAll('"', ''),
    claim: (claim, headers = {}) =>
      line.send([
        {
          topic: line.topics.batches,
          headers: { 'content-type': OBJECT_TYPE, ...headers },
          value: Buffer.from(JSON.stringify({ bucket, ...claim })),
        },
      ]),
    tags,
    tagged: (key, state) =>
      eventually(
        async () => {
          const found = await tags(key)
          return found['rates-state'] === state && found
        },
        { within: 30_000, what: `${key} being tagged as ${state}` },
      ) as Promise<Record<string, string>>,
    async loads() {
      const { rows } = await line.pool.query<LoadRow>(
        `select state, chunks_sent as chunks, attempts, waits, note, quarantined, repeats, leased_by as "leasedBy"
         from object_loads order by no`,
      )
      return rows
    },
  }
}

export interface StoreDoor {
  url: string
  /** Holds the next object that is read back after so many bytes, until it is told to go on or its connection is cut. */
  hold(bytes: number): HeldReading
  /** Answers what is asked for by itself: a function says with which status, or undefined to let the store answer. */
  answer(by: Answering | undefined): void
  /** Takes no connections, and cuts those that are there, until `up`. */
  down(): void
  up(): void
  /** Requests so far, as `GET /bucket/key`. */
  requests: string[]
  close(): Promise<void>
}

export type Answering = (request: http.IncomingMessage) => number | undefined | Promise<number | undefined>

export interface HeldReading {
  /** So many bytes went through. */
  reached: Promise<void>
  /** Its reader left. */
  left: Promise<void>
  goOn(): void
  cut(): void
}

/** A proxy in front of a store. What is signed goes through as it is. */
async function openDoor(endpoint: string): Promise<StoreDoor> {
  const target = new URL(endpoint)
  const requests: string[] = []
  let by: Answering | undefined
  let holding: { bytes: number; take(reading: Reading): void } | undefined
  let isDown = false
  const agent = new http.Agent({ keepAlive: true })

  const handle = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    requests.push(`${request.method} ${request.url}`)
    const status = await by?.(request)
    if (status !== undefined) return void response.writeHead(status).end()
    const { method, url: path, rawHeaders: headers } = request
    const upstream = http.request({ host: target.hostname, port: target.port, method, path, headers, agent })
    upstream.on('error', () => response.destroy())
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      response.flushHeaders()
      const isReading = method === 'GET' && !path!.includes('tagging')
      if (!holding || !isReading) return void answer.pipe(response)
      const { bytes, take } = holding
      holding = undefined
      let through = 0
      answer.on('data', (piece: Buffer) => {
        if (through + piece.length < bytes || through >= bytes) {
          through += piece.length
          if (!response.write(piece)) answer.pause()
          return
        }
        response.write(piece.subarray(0, bytes - through))
        through += piece.length
        answer.pause()
        answer.unshift(piece.subarray(piece.length - (through - bytes)))
        through = bytes
        take({ answer, response })
      })
      response.on('drain', () => answer.resume())
      answer.on('end', () => response.end())
      answer.on('error', () => response.destroy())
    })
    request.pipe(upstream)
  }
  const server = http.createServer((request, response) => void handle(request, response))
  server.on('connection', (socket) => void (isDown && socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    hold(bytes) {
      let reading: Reading | undefined
      let reached: () => void
      let left: () => void
      const whenReached = new Promise<void>((resolve) => (reached = resolve))
      const whenLeft = new Promise<void>((resolve) => (left = resolve))
      holding = {
        bytes,
        take(taken) {
          reading = taken
          taken.response.once('close', () => left())
          taken.response.removeAllListeners('drain')
          reached()
        },
      }
      return {
        reached: whenReached,
        left: whenLeft,
        goOn() {
          reading!.response.on('drain', () => reading!.answer.resume())
          reading!.answer.resume()
        },
        cut: () => void reading!.response.destroy(),
      }
    },
    answer: (how) => void (by = how),
    down() {
      isDown = true
      server.closeAllConnections()
    },
    up: () => void (isDown = false),
    async close() {
      agent.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

interface Reading {
  answer: http.IncomingMessage
  response: http.ServerResponse
}

/** Time passes: leases of loaders that are no more run out. */
export const runOut = async (line: Line): Promise<void> =>
  void (await line.pool.query('update object_loads set leased_until = clock_timestamp() where leased_by is not null'))

/** A batch under the id that is told in its claim. */
export const named = (batch: TestBatch): Record<string, string> => ({ 'batch-id': batch.id })
