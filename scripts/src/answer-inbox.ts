import { type IncomingRecord } from '@rates/service/kafka'

/** An answer as its record has it. */
export interface Answer {
  /** As HTTP has it: 200, 400, 404 … */
  status: number
  contentType: string
  value: Uint8Array
}

export interface Awaited {
  /** Undefined: none came in time. */
  answer: Promise<Answer | undefined>
  /** From now on the time runs; undefined: none is set. */
  startClock(): void
}

/**
 * Waits for the answers to one run's queries, among all that come by: each query has a correlation id of its own, which
 * nobody else has. Answers that repeat one are left alone.
 */
export class AnswerInbox {
  private readonly waiting = new Map<string, (answer: Answer | undefined) => void>()
  private readonly milliseconds: number

  /** @param milliseconds that an answer may take */
  constructor(milliseconds: number) {
    this.milliseconds = milliseconds
  }

  expect(correlationId: string): Awaited {
    let timer: NodeJS.Timeout | undefined
    const answer = new Promise<Answer | undefined>((resolve) => {
      this.waiting.set(correlationId, (found) => {
        clearTimeout(timer)
        this.waiting.delete(correlationId)
        resolve(found)
      })
    })
    const giveUp = (): void => this.waiting.get(correlationId)?.(undefined)
    return {
      answer,
      startClock: () => {
        // Whoever has given up by themselves is not kept by it.
        if (this.waiting.has(correlationId)) timer = setTimeout(giveUp, this.milliseconds).unref()
      },
    }
  }

  /** Takes any record of a reply topic; what is no answer to a query of ours is left alone. */
  readonly take = ({ headers, value }: Pick<IncomingRecord, 'headers' | 'value'>): void => {
    const arrive = this.waiting.get(headers.get('correlation-id') ?? '')
    const status = headers.get('status')
    // The reply to a batch, whose sender chose our correlation id, has none.
    if (arrive === undefined || status === undefined || !/^[1-5]\d\d$/.test(status)) return
    const contentType = headers.get('content-type') ?? ''
    arrive({ status: Number(status), contentType, value: value ?? new Uint8Array() })
  }
}
