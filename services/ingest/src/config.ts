import { commonSettings, databaseSettings, kafkaSettings, setting } from '@rates/service/config'
import os from 'node:os'
import { z } from 'zod'

export const settings = z.object({
  ...commonSettings,
  ...databaseSettings,
  ...kafkaSettings,
  MANAGEMENT_PORT: setting.number(0, 65_535, 8082),
  /** Names this worker in the ledger and in logs; unique among those that run. */
  WORKER_NAME: z.string().min(1).max(100).default(os.hostname()),
  /** A batch whose chunks stay away this long, on record time, fails as incomplete. */
  CHUNK_TIMEOUT_SECONDS: setting.number(1, 7 * 24 * 3600, 900),
  /** Topics that senders may name in `reply-to`, comma separated. */
  REPLY_TOPICS: setting.list.default([]),
  /** How long the chunk in hand may take after SIGTERM. */
  DRAIN_SECONDS: setting.number(1, 600, 25),
  /** Seconds without a heartbeat after which Kafka gives this worker's partitions to others. */
  SESSION_SECONDS: setting.number(6, 300, 10),
  /** Days in which a batch that succeeded may be reverted. */
  REVERT_WINDOW_DAYS: setting.number(0, 365, 7),
  /** For tests: see failpoints.ts. */
  FAILPOINTS: z.string().default(''),
})

export type Settings = z.output<typeof settings>
