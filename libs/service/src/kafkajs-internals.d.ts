declare module 'kafkajs/src/network/requestQueue/index.js' {
  interface RequestQueue {
    pending: unknown[]
    throttledUntil: number
    scheduleCheckPendingRequests(this: RequestQueue): void
    instrumentationEmitter: { emit(event: string, payload: object): void } | null
    maybeThrottle(this: RequestQueue, milliseconds: number | null | undefined): void
  }
  const RequestQueue: { prototype: RequestQueue }
  export default RequestQueue
}

declare module 'kafkajs/src/consumer/batch.js' {
  import { type KafkaMessage } from 'kafkajs'
  /** What a fetch has of a partition: `messages` are those from the offset on that a reader is to see. */
  export default class Batch {
    constructor(topic: string, fetchedOffset: string, partitionData: { messages: KafkaMessage[] })
    readonly rawMessages: KafkaMessage[]
    readonly messages: KafkaMessage[]
  }
}

declare module 'kafkajs/src/protocol/decoder.js' {
  /** Reads bytes from their begin to their end. */
  interface Decoder {
    buffer: Buffer
    /** A decoder of the next bytes; cuts record batches out of a fetch's response. */
    slice(this: Decoder, bytes: number): Decoder
  }
  const Decoder: { prototype: Decoder }
  export default Decoder
}
