import { NoSuchObject, type ObjectPlace, type ObjectStore } from '@rates/service/object-store'
import { ClaimGone } from './claim-parts.ts'

const at = (bucket: string, id: string): ObjectPlace => ({ bucket, key: `claims/${id}` })

/**
 * Content as objects of a bucket, each as its reader gets it. The store is opened when it is needed first: a bucket that
 * the settings do not name any more may still have claims.
 */
export class ClaimObjects {
  readonly #open: () => Promise<ObjectStore>
  #store: Promise<ObjectStore> | undefined

  constructor(open: () => Promise<ObjectStore>) {
    this.#open = open
  }

  /** Nothing is there before all of it is. */
  async write(bucket: string, id: string, content: AsyncIterable<Uint8Array>, contentType: string): Promise<void> {
    const store = await this.#opened()
    await store.put(at(bucket, id), content, { contentType })
  }

  /** As fast as its reader takes it. @throws ClaimGone, and what ObjectStore.read does */
  async *read(bucket: string, id: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const store = await this.#opened()
    const place = at(bucket, id)
    try {
      yield* store.read(place, await store.head(place), { signal })
    } catch (error) {
      throw error instanceof NoSuchObject ? new ClaimGone('the object') : error
    }
  }

  async remove(bucket: string, id: string): Promise<void> {
    const store = await this.#opened()
    await store.remove(at(bucket, id)).catch((error: unknown) => {
      if (!(error instanceof NoSuchObject)) throw error // its bucket is gone, and it, too
    })
  }

  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined)
    store?.close()
  }

  #opened(): Promise<ObjectStore> {
    return (this.#store ??= this.#open().catch((error: unknown) => {
      this.#store = undefined
      throw error
    }))
  }
}
