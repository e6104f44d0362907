import { type Batch } from '@rates/core/batch'
import { z } from 'zod'

/** What the service answers with, for the document and for the tests that hold answers against it. */

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional().meta({ description: 'What is wrong with this request.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' })

export const ratesSchema = z
  .strictObject({
    rates: z.array(
      z.strictObject({
        count: z.int().nullable().meta({ description: 'Number of prices of the day; null if there are none.' }),
        day: z.iso.date(),
        price: z.number().nullable().meta({ description: 'Their average; null if there are fewer than three.' }),
        batches: z
          .array(
            z.strictObject({
              id: z.string().nullable().meta({ description: 'Null if the ledger has forgotten it.' }),
              source: z.string().nullable(),
              count: z.int().meta({ description: "Number of the batch's prices of the day." }),
              sum: z.number().meta({ description: 'Their sum; exact up to 2^53.' }),
            }),
          )
          .max(100)
          .optional()
          .meta({ description: 'With `explain=true`: whose prices they are; the 100 batches with the most of them.' }),
        batchCount: z
          .int()
          .optional()
          .meta({ description: 'With `explain=true`: how many batches have prices of it.' }),
      }),
    ),
  })
  .meta({ id: 'Rates', description: 'An entry for every day of the range, the newest first.' })

const parentRegion = z.string().nullable().meta({ description: 'Null: it lies in no other.' })

export const portSchema = z
  .strictObject({ code: z.string(), name: z.string(), region: z.string() })
  .meta({ id: 'Port' })

export const regionSchema = z
  .strictObject({ slug: z.string(), name: z.string(), parent: parentRegion })
  .meta({ id: 'Region' })

export const portsSchema = z.strictObject({ ports: z.array(portSchema) }).meta({ id: 'Ports' })

export const regionsSchema = z.strictObject({ regions: z.array(regionSchema) }).meta({ id: 'Regions' })

const entryContent = z.union([
  z.strictObject({ name: z.string(), region: z.string() }),
  z.strictObject({ name: z.string(), parent: parentRegion }),
])

export const catalogueChangesSchema = z
  .strictObject({
    dryRun: z.boolean(),
    added: z.int(),
    changed: z.int(),
    unchanged: z.int(),
    changes: z
      .array(
        z.strictObject({
          code: z.string().optional(),
          slug: z.string().optional(),
          before: entryContent.nullable().meta({ description: 'Null: it is new.' }),
          after: entryContent,
        }),
      )
      .meta({ description: 'What is added and changed, in the order of the file; the first 1 000.' }),
  })
  .meta({ id: 'CatalogueChanges' })

export const BATCH_STATES = [
  'pending',
  'in_progress',
  'succeeded',
  'failed',
  'cancelled',
  'reverted',
  'replaced',
] as const

const time = z.iso.datetime()
const seconds = z.number().nullable()

export const batchSchema = z
  .strictObject({
    id: z.string(),
    state: z.enum(BATCH_STATES),
    source: z.string().nullable(),
    replaces: z.string().nullable(),
    replacedBy: z.string().nullable(),
    retryOf: z.string().nullable().meta({ description: 'The batch whose records this one has again.' }),
    dryRun: z.boolean(),
    correlationId: z.string().nullable(),
    chunks: z.strictObject({ done: z.int(), expected: z.int().nullable() }),
    rows: z.strictObject({ accepted: z.int(), rejected: z.int(), expected: z.int().nullable() }),
    bytes: z.int().meta({ description: 'As sent, which is compressed as a rule.' }),
    progress: z.number().nullable().meta({
      description:
        '0 to 1 and never back; estimated where only the sender knows how far it is, null while nobody knows.',
    }),
    rowsPerSecond: z.number().nullable(),
    etaAt: time.nullable(),
    deadline: time.nullable(),
    slackSeconds: seconds.meta({
      description: 'Left between the (expected) end and the deadline; negative: too late.',
    }),
    createdAt: time,
    startedAt: time.nullable().meta({ description: 'When a worker took the first chunk.' }),
    finishedAt: time.nullable(),
    hiddenAt: time.nullable().meta({ description: 'When it was reverted or replaced.' }),
    purgedAt: time.nullable(),
    phases: z.strictObject({ queueSeconds: seconds, loadSeconds: seconds, publishSeconds: seconds }),
    peakMemoryBytes: z.int().nullable(),
    attempts: z.int().meta({ description: 'Most tries of any chunk.' }),
    workers: z.array(z.string()),
    log: z.string().nullable(),
    traceId: z.string().nullable(),
    digest: z.string().nullable(),
    error: z
      .strictObject({
        code: z.string(),
        message: z.string(),
        rules: z.record(z.string(), z.int()).optional().meta({ description: 'Bad rows by rule.' }),
        missingChunks: z.array(z.int()).optional(),
      })
      .nullable(),
    links: z.strictObject({ self: z.string(), errors: z.string() }),
  })
  .meta({ id: 'Batch' })

// What is documented is what the services share, or this does not compile.
type Documented = z.output<typeof batchSchema>
export const asDocumented = (batch: Batch): Documented => batch
export const fromDocumented = (batch: Documented): Record<keyof Batch, unknown> => batch

export const batchesSchema = z
  .strictObject({
    batches: z.array(batchSchema),
    nextCursor: z.string().nullable().meta({ description: 'For the next page; null on the last one.' }),
  })
  .meta({ id: 'Batches' })

export const rowErrorsSchema = z
  .strictObject({
    batch: z.string(),
    rejected: z.int().meta({ description: 'All bad rows that are known of; the first 1 000 are listed.' }),
    errors: z.array(
      z.strictObject({
        row: z.int().nullable().meta({ description: 'Data rows from 1; null if an earlier chunk never came.' }),
        chunk: z.int(),
        rowInChunk: z.int().meta({ description: 'Data rows from 1.' }),
        field: z.string().nullable(),
        value: z.string(),
        rule: z.string(),
        text: z.string().meta({ description: 'The row as it came.' }),
      }),
    ),
  })
  .meta({ id: 'RowErrors' })

export const acceptedSchema = z
  .strictObject({
    id: z.string(),
    dryRun: z.boolean(),
    rows: z.int().meta({ description: 'Data rows that were received.' }),
    links: z.strictObject({ self: z.string(), errors: z.string() }),
  })
  .meta({ id: 'Accepted' })

const batchLinks = z.strictObject({ self: z.string(), errors: z.string() })

export const openedSchema = z
  .strictObject({ id: z.string(), dryRun: z.boolean(), links: batchLinks })
  .meta({ id: 'Opened' })

export const takenChunkSchema = z
  .strictObject({
    id: z.string(),
    dryRun: z.boolean(),
    chunk: z.int(),
    sha256: z.string().meta({ description: 'Of what came.' }),
    rows: z.int().meta({ description: 'Its data rows.' }),
    links: batchLinks,
  })
  .meta({ id: 'TakenChunk' })

export const chunksSchema = z
  .strictObject({
    total: z.int().nullable().meta({ description: 'How many the batch has; null while no stored chunk tells.' }),
    chunks: z.array(z.strictObject({ chunk: z.int(), sha256: z.string(), rows: z.int() })),
  })
  .meta({ id: 'Chunks' })

export const completedSchema = z
  .strictObject({
    id: z.string(),
    dryRun: z.boolean(),
    chunks: z.int().meta({ description: 'One more than was said where no chunk told the total.' }),
    links: batchLinks,
  })
  .meta({ id: 'Completed' })

export const retriedSchema = z
  .strictObject({
    id: z.string().meta({ description: 'Of the new batch.' }),
    retryOf: z.string().meta({ description: 'The batch whose records it has again.' }),
    links: batchLinks,
  })
  .meta({ id: 'Retried' })
