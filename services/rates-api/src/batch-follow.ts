import { type ServerResponse } from 'node:http'
import { type OnModuleDestroy } from '@nestjs/common'
import { type Batch } from '@rates/core/batch'
import { type BatchFeed } from './batch-feed.ts'
import { type BatchName } from './batch-feed-look.ts'
import { BatchStream } from './batch-stream.ts'
import { type Watchers } from './watchers.ts'

export const hasEnded = (batch: Batch): boolean => batch.finishedAt !== null

/** What callers who do not want to ask again and again are given. */
export class BatchFollow implements OnModuleDestroy {
  readonly #feed: BatchFeed
  readonly #watchers: Watchers

  constructor(feed: BatchFeed, watchers: Watchers) {
    this.#feed = feed
    this.#watchers = watchers
  }

  /**
   * Waits until the batch has its outcome, also for one that is not there yet; no longer than the caller does.
   * @returns undefined if it has none after `ms` milliseconds, or the process ends @throws Problem 503
   */
  outcome(of: BatchName, ms: number, caller: ServerResponse): Promise<Batch | undefined> {
    return new Promise((resolve) => {
      const end = (batch?: Batch): void => {
        clearTimeout(timer)
        caller.off('close', giveUp)
        unwatch()
        exit()
        resolve(batch)
      }
      const giveUp = (): void => end()
      const exit = this.#watchers.enter('wait', giveUp)
      const timer = setTimeout(giveUp, caller.closed ? 0 : ms)
      caller.once('close', giveUp)
      const unwatch = this.#feed.watch({
        of,
        take: (changes) => changes.filter(({ batch }) => hasEnded(batch)).forEach(({ batch }) => end(batch)),
      })
    })
  }

  /**
   * The events of one batch, or of all: what there is, and from then on what changes.
   * @param until `outcome`: the stream of one ends with it @throws Problem 503
   */
  stream(of?: BatchName, until?: 'outcome'): BatchStream {
    const exit = this.#watchers.enter('stream', () => stream.finish())
    const stream: BatchStream = new BatchStream({
      onEnd: () => {
        unwatch()
        exit()
      },
    })
    const unwatch = this.#feed.watch({
      of,
      take: (changes, first) => {
        stream.tell(changes)
        if (first) stream.tellReady()
        if (until === 'outcome' && changes.some(({ batch }) => hasEnded(batch))) stream.tellEnd()
      },
    })
    return stream
  }

  /** Whoever waits is answered with what there is, streams end. */
  leave(): void {
    this.#watchers.leave()
  }

  async onModuleDestroy(): Promise<void> {
    this.leave()
    await this.#feed.close()
  }
}
