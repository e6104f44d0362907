import {
  commonSettings,
  databaseSettings,
  kafkaSettings,
  loadConfig,
  objectStoreSettings,
  setting,
} from '@rates/service/config'
import { z } from 'zod'

const schema = z.object({
  ...commonSettings,
  ...databaseSettings,
  ...kafkaSettings,
  ...objectStoreSettings,
  PORT: setting.number(0, 65_535, 8080),
  MANAGEMENT_PORT: setting.number(0, 65_535, 8081),
  /** Precedes the links in answers, for those who read us through a gateway; without it they are relative. */
  PUBLIC_URL: setting.publicUrl,
  /** Where a batch's log is: `{worker}` and `{batch}` are filled in. */
  BATCH_LOG_TEMPLATE: z.string().optional(),
  /** A dump that is imported before the service turns ready. */
  IMPORT_FILE: z.string().optional(),
  /** Of an upload's content, once decompressed. */
  UPLOAD_MAX_BYTES: setting.number(1, Number.MAX_SAFE_INTEGER, 4 * 1024 ** 3),
  /** Seconds without a byte after which an upload is given up. */
  UPLOAD_IDLE_SECONDS: setting.number(0.1, 3600, 30),
  UPLOADS_AT_ONCE: setting.number(1, 1000, 4),
  /** Chunks of resumable uploads: each is in memory as it came, which is 900 kB at most. */
  CHUNKS_AT_ONCE: setting.number(1, 1000, 16),
  /** Callers that wait for a batch or follow batches, together. */
  WATCHERS_AT_ONCE: setting.number(1, 10_000, 500),
  /** Topics that senders may name in `reply-to`, comma separated; the workers' list. */
  REPLY_TOPICS: setting.list.default([]),
  /** Days in which a batch that succeeded may be reverted; the workers' number. */
  REVERT_WINDOW_DAYS: setting.number(0, 365, 7),
  /** Whether this process answers queries that come by message. */
  QUERIES: z
    .enum(['true', 'false'], 'is neither true nor false')
    .default('true')
    .transform((text) => text === 'true'),
  /** Queries that are worked on side by side. */
  QUERIES_AT_ONCE: setting.number(1, 100, 4),
  /** An answer by message that is larger is put away, and its place sent instead. */
  ANSWER_MAX_BYTES: setting.number(1_000, 900_000, 65_536),
  /** How long what was put away is kept. */
  CLAIM_HOURS: setting.number(0.001, 24 * 30, 24),
  /** Of one claim's content. */
  CLAIM_MAX_BYTES: setting.number(1_000, Number.MAX_SAFE_INTEGER, 1024 ** 3),
  /** The bucket that it is put into; without one: PostgreSQL. */
  CLAIM_BUCKET: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket')
    .optional(),
  /** Seconds between saying "not ready" and refusing connections, for load balancers to notice. */
  DRAIN_DELAY_SECONDS: setting.number(0, 120, 0),
  /** Seconds from the first signal to the end of the process, whatever is still going on. */
  DRAIN_SECONDS: setting.number(1, 3600, 25),
})

export type Settings = Readonly<z.output<typeof schema>>

export const readSettings = (env?: NodeJS.ProcessEnv): Settings => loadConfig(schema, env)
