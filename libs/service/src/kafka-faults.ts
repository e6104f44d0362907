/** What a broker says of a record that it will not take, whenever it comes again. */
export const RECORD_REFUSED = /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD)$/

/** Kafka's word for a fault, wherever in its chain of causes kafkajs put it; undefined where no broker has answered. */
export function kafkaWord(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { type, cause } = error as { type?: unknown; cause?: unknown }
  return typeof type === 'string' ? type : kafkaWord(cause)
}
