import { type Batch } from '@rates/core/batch'
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
  const board = new Board(output)
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
      } else if (told.kind === 'ready') board.ready()
      else if (json) output.line(JSON.stringify(told.batch))
      else board.take(told.batch)
    }
  } finally {
    board.close()
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
  private begun = false

  constructor(output: Output) {
    this.output = output
    if (!output.live) return
    this.block = new LiveBlock(output.live)
    this.timer = setInterval(() => this.draw(), REDRAW_MILLISECONDS)
  }

  take(batch: Batch): void {
    const key = `${batch.dryRun ? 'dry ' : ''}${batch.id}`
    const change = changeOf(batch, this.known.get(key))
    this.remember(key, batch)
    if (hasEnded(batch)) this.open.delete(key)
    else this.open.set(key, batch)
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
