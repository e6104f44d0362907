import { isBucketName } from '@rates/core/object-claim'
import { commonSettings, databaseSettings, kafkaSettings, objectStoreSettings, setting } from '@rates/service/config'
import os from 'node:os'
import { z } from 'zod'
import { readKeys, SECRET_RULE } from './webhook-signature.ts'

export const settings = z.object({
  ...commonSettings,
  ...databaseSettings,
  ...kafkaSettings,
  ...objectStoreSettings,
  MANAGEMENT_PORT: setting.number(0, 65_535, 8082),
  /** Names this worker in the ledger and in logs; unique among those that run. */
  WORKER_NAME: z.string().min(1).max(100).default(os.hostname()),
  /** A batch whose chunks stay away this long, on record time, fails as incomplete. */
  CHUNK_TIMEOUT_SECONDS: setting.number(1, 7 * 24 * 3600, 900),
  /** Chunks of a batch that are stored in one transaction, at most. */
  CHUNKS_TOGETHER: setting.number(1, 16, 4),
  /** Topics that senders may name in `reply-to`, comma separated. */
  REPLY_TOPICS: setting.list.default([]),
  /** Buckets whose objects may become batches, comma separated. */
  OBJECT_BUCKETS: setting.list
    .refine((buckets) => buckets.every(isBucketName), "is not a list of buckets' names, as acme-prices,inbox")
    .default([]),
  /** Objects that this worker loads side by side. */
  OBJECT_LOADS_AT_ONCE: setting.number(1, 16, 1),
  /** How long a store may refuse our credentials before what was to be loaded fails: they may be in rotation. */
  OBJECT_REFUSED_SECONDS: setting.number(0, 86_400, 60),
  /** Gets a POST for each batch that fails. */
  WEBHOOK_URL: setting.httpUrl.optional(),
  /** Signs them. */
  WEBHOOK_SECRET_FILE: setting.checkedFile(readKeys, SECRET_RULE).optional(),
  /** Precedes the links in webhooks; the API's. */
  PUBLIC_URL: setting.publicUrl,
  /** How long the chunk in hand may take after SIGTERM. */
  DRAIN_SECONDS: setting.number(1, 600, 25),
  /** Seconds without a heartbeat after which Kafka gives this worker's partitions to others. */
  SESSION_SECONDS: setting.number(6, 300, 10),
  /** /livez fails when records wait and none was finished or tried again for so long; 0: never. */
  LIVENESS_STALL_SECONDS: setting.number(0, 86_400, 300),
  /** Days in which a batch that succeeded may be reverted. */
  REVERT_WINDOW_DAYS: setting.number(0, 365, 7),
  /** A batch's small packs may be merged with others' this long after it ended. */
  COMPACT_AFTER_SECONDS: setting.number(0, 7 * 24 * 3600, 60),
  /** Prices of a month go this long after its last day; 0: never. */
  PRICE_RETENTION_DAYS: setting.number(0, 100_000, 0),
  /** Batches whose prices are gone leave the ledger this long after they ended; 0: never. Kafka must not keep longer. */
  LEDGER_RETENTION_DAYS: setting
    .number(0, 100_000, 0)
    .refine((days) => days === 0 || days >= 7, 'is neither 0 nor at least 7, the least that topics keep'),
})

export type Settings = z.output<typeof settings>
