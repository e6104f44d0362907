import { MAX_CHUNK_WIRE_BYTES, MAX_CHUNKS } from '@rates/core/limits'
import { z } from 'zod'
import { dryRunQuery, idParams } from './batches.controller.ts'
import { type RouteDescription } from './route.ts'
import { chunksSchema, completedSchema, openedSchema, problemSchema, takenChunkSchema } from './schemas.ts'
import { batchHeaders, batchQuery } from './upload-headers.ts'
import { waitParameter } from './wait-parameter.ts'

// The routes of resumable uploads, as they are documented.

const text = (description: string): z.ZodOptional<z.ZodString> => z.string().optional().meta({ description })

const chunkParams = idParams.extend({
  n: z.string().meta({ description: `Its number in the order of the input, from 0 to ${MAX_CHUNKS - 1}.` }),
})
export const chunkHeaders = z.object({
  chunks: text('How many chunks the batch has; on one of them at least, or `complete` adds a chunk that tells it.'),
  rows: text('Data rows of the chunk; checked if given.'),
  sha256: text('64 hexadecimal digits: of the content as sent, after compression; checked if given.'),
  progress: text('How much of the batch is sent with this chunk and those before it, as 0.25.'),
  'dry-run': batchHeaders.shape['dry-run'],
})
const chunkQuery = batchQuery.pick({ dryRun: true })

export const completeQuery = dryRunQuery.extend({
  chunks: z
    .string('is missing')
    .regex(/^\d{1,6}$/, `is not a whole number from 1 to ${MAX_CHUNKS}`)
    .transform(Number)
    .refine((chunks) => chunks >= 1 && chunks <= MAX_CHUNKS, `is not a whole number from 1 to ${MAX_CHUNKS}`)
    .meta({ description: 'How many chunks were sent: numbers 0 to this less one.' }),
  wait: waitParameter.prefault('10s').meta({
    description: 'How long to wait for chunks that are on their way, as 500ms, 30s or 1m: 1m at most.',
  }),
})

const problem = (description: string): { description: string; schema: z.ZodType } => ({
  description,
  schema: problemSchema,
})
const RETRY_AFTER = { 'retry-after': 'Seconds until it is worth to try again.' }
const unknownBatch = { ...problem('`code` is `not_seen_yet`: nobody has opened it.'), headers: RETRY_AFTER }

export const OPEN: RouteDescription = {
  method: 'PUT',
  path: '/batches/:id',
  summary: 'Open a batch for a resumable upload',
  description: 'It takes no content: chunks follow, one request each. To repeat it changes nothing.',
  params: idParams,
  query: batchQuery,
  headers: batchHeaders,
  answers: {
    200: { description: 'It was open before, with the same headers.', schema: openedSchema },
    201: { description: 'It is open.', schema: openedSchema, headers: { location: 'The batch.' } },
    400: problem('A parameter is wrong, or there is content.'),
    409: problem(
      'The id is taken. `code`: `conflict` (by a batch with another value of `header`), `ended` (by one that has its ' +
        'outcome, or by this one). `state`: its state.',
    ),
  },
}

export const PUT_CHUNK: RouteDescription = {
  method: 'PUT',
  path: '/batches/:id/chunks/:n',
  summary: 'Upload a chunk of a batch',
  description:
    'In any order, in parallel, by any instance. The content is a chunk as on Kafka (whole rows, compressed or not, ' +
    `up to ${MAX_CHUNK_WIRE_BYTES} bytes as sent). Answered means that it is never lost; to send it again is harmless.`,
  params: chunkParams,
  query: chunkQuery,
  headers: chunkHeaders,
  body: {
    description: 'Some of the prices.',
    contentTypes: {
      'text/csv': 'CNSGH,NLRTM,2021-01-01,1154\n',
      'application/x-ndjson': '{"orig_code":"CNSGH","dest_code":"NLRTM","day":"2021-01-01","price":1154}\n',
    },
  },
  answers: {
    200: { description: 'It came before, and is stored.', schema: takenChunkSchema },
    202: { description: 'Kafka has it.', schema: takenChunkSchema },
    400: problem(
      'A parameter is wrong, or the content is empty, broken off, not what its encoding says, or has too many rows. ' +
        '`code` is `damaged` where it has another sha256 or number of rows than was said.',
    ),
    404: unknownBatch,
    408: problem('Nothing came for too long, or not all of it in time.'),
    409: problem(
      '`code`: `other_content` (the chunk is there, with another `sha256`), `other_total` (another number of chunks is ' +
        'known), `ended` (`state` says how).',
    ),
    413: problem('Too much content.'),
    415: problem('Not a type or an encoding that is taken here.'),
  },
}

export const LIST: RouteDescription = {
  method: 'GET',
  path: '/batches/:id/chunks',
  summary: 'The stored chunks of a batch',
  description: 'In their order. One that was acknowledged may be not stored yet.',
  params: idParams,
  query: dryRunQuery,
  answers: { 200: { description: 'The chunks.', schema: chunksSchema }, 404: unknownBatch },
}

export const COMPLETE: RouteDescription = {
  method: 'POST',
  path: '/batches/:id/complete',
  summary: 'Say that all chunks of a batch were sent',
  description: 'It waits until all are stored. To repeat it changes nothing.',
  params: idParams,
  query: completeQuery,
  answers: {
    200: { description: 'All are stored, and the batch has its outcome.', schema: completedSchema },
    202: {
      description: 'All are stored.',
      schema: completedSchema,
      headers: { location: 'The batch.', 'retry-after': 'Seconds until it is worth to ask for it.' },
    },
    400: problem('A parameter is wrong.'),
    404: unknownBatch,
    409: {
      ...problem(
        '`code`: `chunks_missing` (`missing`: the first 100 that are not stored; those that were acknowledged will be), ' +
          '`other_total` (the batch has another number of chunks), `ended` (before all came; `state` says how).',
      ),
      headers: RETRY_AFTER,
    },
  },
}
