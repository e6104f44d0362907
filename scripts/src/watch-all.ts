import { type Batch } from '@rates/core/batch'
import { readApi } from './api.ts'
import { passes } from './back-off.ts'
import { batchEvents } from './batch-events.ts'
import { hasEnded } from './follow-batch.ts'
import { LiveBlock } from './live-block.ts'
import { changeLine, changeOf, liveLines } from './watch-page.ts'

const REDRAW_MILLISECONDS = 250
/** Batches whose end was told: only a revert is news of them. */
const REMEMBERED = 10_000

export interface Output {
  /** A line of a result. */
  line(text: string): void
  /** A line about the watching itself. */
  note(text: string): void
  /** The terminal, if the lines end at one. */
  live: (NodeJS.WritableStream & { columns?: number; rows?: number }) | undefined
}

/** Tells what happens to batches, until `signal` is aborted. @throws ApiFailure if the API cannot be reached at first */
export async function watchAll(url: string, json: boolean, output: Output, signal: AbortSignal): Promise<void> {
  const board = new Board(output, json)
  let reached = false
  let lost = false
  try {
    for await (const told of batchEvents(url, '/batches', signal)) {
      if (told.kind === 'lost') {
        if (!reached) throw told.error
        if (!lost) board.note(`${told.error.message} Asking again.`)
        lost = true
      } else if (told.kind === 'connected') {
        if (lost) board.note('The API answers again.')
        reached = true
        lost = false
        board.connected()
      } else if (told.kind === 'batch') board.take(told.batch)
      else {
        for (const missed of board.untold()) board.found(missed, await look(url, missed, signal))
        board.ready()
      }
    }
  } finally {
    board.close()
  }
}

/** How a batch ended that is no longer among those told first; `unknown`: the API does not say now. */
async function look(url: string, { id, dryRun }: Batch, signal: AbortSignal): Promise<Batch | 'gone' | 'unknown'> {
  try {
    const path = `/batches/${encodeURIComponent(id)}${dryRun ? '?dryRun=true' : ''}`
    return (await readApi<Batch>(url, path, signal)) ?? 'gone'
  } catch (error) {
    if (signal.aborted || passes(error)) return 'unknown' // the next connection asks again
    throw error
  }
}

/** What is told of all batches: a line for each change, and in a terminal those that load below them. */
export class Board {
  private readonly output: Output
  private readonly block: LiveBlock | undefined
  private readonly timer: NodeJS.Timeout | undefined
  /** States as they were told, those told last at the end. */
  private readonly known = new Map<string, Batch['state']>()
  private readonly open = new Map<string, Batch>()
  /** Open when the connection was made, and not told of on it. */
  private readonly unseen = new Set<string>()
  private readonly json: boolean
  private begun = false

  /** @param json tell each batch as a line of JSON */
  constructor(output: Output, json = false) {
    this.output = output
    this.json = json
    if (!output.live) return
    this.block = new LiveBlock(output.live)
    this.timer = setInterval(() => this.draw(), REDRAW_MILLISECONDS)
  }

  /** Of what is open, all is told once more from now on. */
  connected(): void {
    for (const key of this.open.keys()) this.unseen.add(key)
  }

  /** Those that were open and were not told of since the connection was made: they ended in the meantime. */
  untold(): Batch[] {
    return [...this.unseen].map((key) => this.open.get(key)!)
  }

  /** What became of one of them. */
  found(before: Batch, now: Batch | 'gone' | 'unknown'): void {
    if (now === 'unknown') return
    if (now !== 'gone') return this.take(now)
    this.unseen.delete(keyOf(before))
    this.open.delete(keyOf(before))
  }

  take(batch: Batch): void {
    const key = keyOf(batch)
    this.unseen.delete(key)
    const change = changeOf(batch, this.known.get(key))
    this.remember(key, batch)
    if (hasEnded(batch)) this.open.delete(key)
    else this.open.set(key, batch)
    if (this.json) return this.output.line(JSON.stringify(batch))
    // What ended before the watching began is no news.
    if (change && (this.begun || (!hasEnded(batch) && !this.block))) this.print(changeLine(batch, change))
  }

  /** From now on changes are news. */
  ready(): void {
    if (!this.begun && this.open.size === 0) this.note('Nothing is loading now; what comes is told.')
    this.begun = true
    this.draw()
  }

  note(text: string): void {
    if (this.block) this.block.print(text)
    else this.output.note(text)
  }

  close(): void {
    clearInterval(this.timer)
    this.block?.show([])
  }

  private print(line: string): void {
    if (this.block) this.block.print(line)
    else this.output.line(line)
  }

  private draw(): void {
    if (!this.block) return
    this.block.show(liveLines([...this.open.values()], this.block.height, Date.now()))
  }

  private remember(key: string, { state }: Batch): void {
    this.known.delete(key)
    this.known.set(key, state)
    if (this.known.size <= REMEMBERED) return
    for (const oldest of this.known.keys()) {
      if (this.open.has(oldest)) continue
      this.known.delete(oldest)
      return
    }
  }
}

const keyOf = ({ id, dryRun }: Batch): string => `${dryRun ? 'dry ' : ''}${id}`
