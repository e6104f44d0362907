import { type BatchHeaders } from '@rates/core/wire'
import { type KafkaSettings } from '@rates/service/kafka'
import { cancelBatch } from '@rates/service/produce-batch'
import { topicNames, type TopicNames } from '@rates/service/topics'
import { ReplyInbox } from './reply-inbox.ts'
import { ReplySession } from './reply-session.ts'

/** The connections that one batch is sent over, and its reply comes back. */
export class BatchSession extends ReplySession {
  readonly topics: TopicNames
  readonly inbox: ReplyInbox
  private readonly batch: BatchHeaders

  constructor(kafka: KafkaSettings, prefix: string, batch: BatchHeaders, wait: boolean) {
    const topics = topicNames(prefix)
    const inbox = new ReplyInbox(batch.batchId, batch.dryRun ?? false)
    const { batches, bulk, replies, deadLetters } = topics
    super(kafka, {
      needs: [batches, bulk, replies, deadLetters],
      // A reply-to that is not allowed is answered on the platform's own topic.
      replies: wait ? [replies, batch.replyTo ?? replies] : [],
      take: inbox.take,
    })
    this.topics = topics
    this.inbox = inbox
    this.batch = batch
  }

  /** Ends the batch if it has not ended. */
  async cancel(): Promise<void> {
    await cancelBatch(this.producer, this.topics, this.batch)
  }
}
