import { type Producer } from '@rates/service/kafka'
import { type Waiting } from '@rates/service/watched-pool'

/** The same producer, whose acknowledgements are waited for by the clock of its user. */
export const watchedProducer = (producer: Producer, waiting: Waiting): Producer => ({
  send: (records) => waiting('broker', producer.send(records)),
  close: () => producer.close(),
})
