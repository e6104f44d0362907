import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { Missing } from '@rates/local/java'
import { type RunningObjectStore, startObjectStore } from '@rates/local/object-store'

/** What `testObjectStore` reads: where the store is, or why there is none. */
export type OfferedStore = Pick<RunningObjectStore, 'url' | 'region' | 'accessKeyId' | 'secretAccessKey'>
export interface RefusedStore {
  fault: string
}

/**
 * Starts an object store when it is asked for the first time, for that takes a program that may have to be built, and
 * few tests need it. Returns where to ask; the answer to all is the same store. It stays as long as the other servers.
 */
export async function offerObjectStore(dir: string, releases: (() => Promise<void>)[]): Promise<string> {
  let store: Promise<RunningObjectStore> | undefined
  const start = () =>
    startObjectStore({ dir, port: 0, accessKey: 'test', secretKey: 'the-secret-of-the-test-store', onProgress: note })
  const server = createServer((_, answer) => {
    store ??= start()
    store.then(
      ({ url, region, accessKeyId, secretAccessKey }) =>
        answer.end(JSON.stringify({ url, region, accessKeyId, secretAccessKey } satisfies OfferedStore)),
      (error: Error) => {
        const fault = error instanceof Missing ? error.message : String(error.stack)
        answer.writeHead(500).end(JSON.stringify({ fault } satisfies RefusedStore))
      },
    )
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  releases.push(async () => {
    server.close()
    server.closeAllConnections()
    await store?.then(
      (running) => running.stop(),
      () => undefined, // whoever asked was told
    )
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const note = (text: string): void => void process.stderr.write(`${text}\n`)
