import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { type Batch } from '@rates/core/batch'
import { eventually } from '@rates/testing/eventually'

export interface Event {
  /** Of comments `:`, of a time to reconnect `retry`. */
  readonly event: string
  readonly data: string
}

/** A reader of server-sent events, on a connection of its own, which keeps what has come. */
export class Events {
  readonly seen: Event[] = []
  readonly response: IncomingMessage
  /** When the server has ended the stream; rejects where the connection was cut. */
  readonly ended: Promise<void>
  hasEnded = false

  private constructor(response: IncomingMessage) {
    this.response = response
    this.ended = this.#read()
    this.ended.catch(() => undefined)
  }

  static async open(url: string, headers: Record<string, string> = { accept: 'text/event-stream' }): Promise<Events> {
    const [response] = (await once(get(url, { headers, agent: false }), 'response')) as [IncomingMessage]
    return new Events(response)
  }

  /** The batches that were told, in order. */
  get batches(): Batch[] {
    return this.seen.filter(({ event }) => event === 'batch').map(({ data }) => JSON.parse(data) as Batch)
  }

  /** What was told of one batch, by its states. */
  states(id: string): string[] {
    return this.batches.filter((batch) => batch.id === id).map(({ state }) => state)
  }

  async batch(is: (batch: Batch) => boolean, within?: number): Promise<Batch> {
    const find = (): Promise<Batch | undefined> => Promise.resolve(this.batches.find(is))
    return eventually(find, { every: 10, what: 'the event', ...(within !== undefined && { within }) })
  }

  /** Until an event of this name has come. */
  async got(name: string): Promise<void> {
    const find = (): Promise<boolean> => Promise.resolve(this.seen.some(({ event }) => event === name))
    await eventually(find, { every: 10, what: `the event ${name}` })
  }

  close(): void {
    this.response.destroy()
  }

  async #read(): Promise<void> {
    let text = ''
    for await (const piece of this.response.setEncoding('utf8')) {
      const blocks = (text + String(piece)).split('\n\n')
      text = blocks.pop()!
      this.seen.push(...blocks.map(parse))
    }
    this.hasEnded = true
  }
}

function parse(block: string): Event {
  const lines = block.split('\n').map((line) => {
    const at = line.indexOf(':')
    return [line.slice(0, at), line.slice(at + 1).trim()] as const
  })
  const fields = new Map(lines)
  if (fields.has('')) return { event: ':', data: '' }
  if (fields.has('retry')) return { event: 'retry', data: fields.get('retry')! }
  return { event: fields.get('event') ?? 'message', data: fields.get('data') ?? '' }
}
