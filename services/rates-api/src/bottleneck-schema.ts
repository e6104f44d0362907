import { CAUSES, STAGES } from '@rates/core/bottleneck'
import { z } from 'zod'

const part = z.number().meta({ description: "Of the stage's time, 0 to 1." })
const time = z.iso.datetime()

export const bottleneckSchema = z
  .strictObject({
    at: time,
    windowSeconds: z.number().meta({ description: 'The time that the parts and rates are of.' }),
    reporting: z.int().meta({ description: 'Workers that told in this time what they did.' }),
    verdict: z
      .strictObject({
        stage: z.enum(STAGES),
        cause: z.enum(CAUSES),
        score: part,
        since: time.meta({ description: 'Looked for in the last five minutes.' }),
      })
      .nullable()
      .meta({ description: 'Null: no stage is the bottleneck.' }),
    stages: z.array(
      z.strictObject({
        stage: z.enum(STAGES),
        loop: z.boolean().meta({ description: "Whether it shares a worker's one loop with others." }),
        score: part,
        busy: part,
        blocked: z.strictObject({ db: part, db_lock: part, pool: part, broker: part, downstream: part }),
        idle: part,
        rowsPerSecond: z.number().nullable(),
      }),
    ),
    backlog: z
      .strictObject({
        records: z.int().meta({ description: 'In Kafka, that no worker has taken to their end.' }),
        rows: z.number().meta({ description: 'In these records, by what the last ones had.' }),
        oldestSeconds: z.number().meta({ description: 'For how long the first of them has lain there.' }),
        drainSeconds: z
          .number()
          .nullable()
          .meta({ description: 'What they take at the rate of `copy`; null: nothing was stored.' }),
      })
      .nullable()
      .meta({ description: 'Null: no worker has told in the last half minute what waits.' }),
    openBatches: z.int(),
    oldest: z
      .strictObject({ id: z.string(), createdAt: time, ageSeconds: z.number() })
      .nullable()
      .meta({ description: 'Of the open batches.' }),
    earliestDeadline: z
      .strictObject({ id: z.string(), at: time, slackSeconds: z.number() })
      .nullable()
      .meta({ description: 'Of the open batches; negative slack: it has passed.' }),
    workers: z.array(
      z.strictObject({
        name: z.string(),
        version: z.string(),
        startedAt: time,
        seenAt: time,
        endedAt: time.nullable(),
        drainSeconds: z
          .number()
          .nullable()
          .meta({ description: 'Since it was told to stop, until it has; null: it was not.' }),
      }),
    ),
  })
  .meta({ id: 'Bottleneck' })
