import { type Reply } from '@rates/core/batch'
import { type IncomingRecord } from '@rates/service/kafka'

export interface ArrivedReply {
  reply: Reply
  /** By performance.now(). */
  at: number
}

/** Waits for one batch's reply among all that come by. */
export class ReplyInbox {
  /** The first reply; those after it repeat it. */
  readonly first: Promise<ArrivedReply>
  /** The first one that gives the batch's outcome: a record of it may be refused by itself. */
  readonly outcome: Promise<ArrivedReply>
  private readonly batchId: string
  private readonly dryRun: boolean
  private arrive: (arrived: ArrivedReply) => void = () => undefined
  private end: (arrived: ArrivedReply) => void = () => undefined

  constructor(batchId: string, dryRun: boolean) {
    this.batchId = batchId
    this.dryRun = dryRun
    this.first = new Promise((resolve) => (this.arrive = resolve))
    this.outcome = new Promise((resolve) => (this.end = resolve))
  }

  /** Takes any record of a reply topic; what is not ours, or no reply at all, is left alone. */
  readonly take = ({ headers, value }: Pick<IncomingRecord, 'headers' | 'value'>): void => {
    if (headers.get('batch-id') !== this.batchId || value === null) return
    let reply: Reply
    try {
      reply = JSON.parse(Buffer.from(value).toString()) as Reply
    } catch {
      return
    }
    // A batch and its dry run have the same id.
    if (reply.batchId !== this.batchId || reply.dryRun !== this.dryRun) return
    // Somebody's request to revert it was answered, not its sending.
    if (reply.state === 'reverted' || reply.state === 'revert_refused') return
    const arrived = { reply, at: performance.now() }
    this.arrive(arrived)
    if (reply.state !== 'id_conflict' && reply.state !== 'unreadable') this.end(arrived)
  }
}
