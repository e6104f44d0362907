import { type Reply } from '@rates/core/batch'
import { type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { type BatchInput } from './batch-input.ts'
import { type CommandFailure } from './exit.ts'
import { type Progress } from './progress.ts'
import { type ArrivedReply } from './reply-inbox.ts'

/** What is known of a batch that was sent. */
export interface Delivered {
  /** Undefined: nobody here has counted them. */
  rows?: number
  /** The batch has ended, with all of it or not. */
  ended?: boolean
}

/** What was acknowledged of a batch. */
export interface Sent extends Delivered {
  chunks: number
  rows: number
  /** Of the bodies as sent. */
  bytes: number
  /** Chunks that an earlier sending had brought, among those counted above. */
  there?: number
  /** The topic they went to. */
  lane?: string
}

export interface SendOptions {
  /** Undefined: as it is best for the way. */
  encoding: ContentEncoding | undefined
  /** With the totals so far, when chunks are acknowledged. */
  onSent: (sent: Sent) => void
  /** Why it waits; undefined: it goes on. */
  onTrouble: (reason: string | undefined) => void
  signal: AbortSignal
}

export interface Arrived extends ArrivedReply {
  /** The outcome was there before this sending, which changed nothing. */
  repeated: boolean
  /** Why nothing of a batch that succeeded is visible any more. */
  hidden: string | undefined
}

/** The way that one batch goes to the platform, and its outcome back. */
export interface Sender<S extends Delivered = Sent> {
  /** From reach() on it is what will be sent. */
  readonly batch: BatchHeaders
  /** True as soon as anything of the batch may have reached the platform. */
  readonly attempted: boolean
  /** Where it goes cannot be reached: that is told at once. @throws CommandFailure */
  reach(signal: AbortSignal): Promise<void>
  /** Resolves when it can send. */
  connect(signal: AbortSignal): Promise<void>
  /** Resolves when all is acknowledged, or no more is wanted because the batch has ended. @throws BatchRefused */
  send(input: BatchInput, options: SendOptions): Promise<Sent>
  /** Shows how far the platform is, until the outcome is there. */
  outcome(sent: S, progress: Progress, signal: AbortSignal): Promise<Arrived>
  /** Ends the batch. @returns its outcome, if that is known in short time */
  cancel(wait: boolean): Promise<Reply | undefined>
  /** What went wrong, for the person; undefined: it has nothing to do with this way. */
  explain(error: unknown): CommandFailure | undefined
  close(): Promise<void>
}

/** The platform wants nothing of what is sent under this id. */
export class BatchRefused extends Error {
  readonly reply: Reply
  constructor(reply: Reply) {
    super(reply.error?.message ?? reply.state)
    this.name = 'BatchRefused'
    this.reply = reply
  }
}
