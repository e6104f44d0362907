import { type Batch } from '@rates/core/batch'
import { BATCH_ID } from '@rates/core/wire'
import { wordsOf } from '@rates/core/words'
import { z } from 'zod'
import { BATCH_STATES } from './schemas.ts'

const MAX_PAGE = 200
const MAX_WORDS = 20
const MAX_WORD = 200
/** Of the ledger, which has them in 8 bytes. */
const MAX_NUMBER = 2n ** 63n - 1n

const stateNames = BATCH_STATES.join(', ')
const isState = (text: string): text is Batch['state'] => (BATCH_STATES as readonly string[]).includes(text)

/** The parameters of `GET /batches`. */
export const listQuery = z.object({
  q: z
    .string()
    .transform(wordsOf)
    .refine((words) => words.length > 0, 'has no word to look for')
    .refine((words) => words.length <= MAX_WORDS, `has more than ${MAX_WORDS} words`)
    .refine((words) => words.every((word) => word.length <= MAX_WORD), `has a word of more than ${MAX_WORD} characters`)
    .optional()
    .meta({
      description: 'Words, each of which is the beginning of a word of the id, the source or the error.',
      examples: ['acme 2026-11'],
    }),
  state: z
    .string()
    .transform((text) => text.split(','))
    .refine((states): states is Batch['state'][] => states.every(isState), `is not a list of ${stateNames}`)
    .optional()
    .meta({ description: `Only these, separated by commas: ${stateNames}.`, examples: ['pending,in_progress'] }),
  source: z
    .string()
    .refine((text) => !text.includes('\0'), 'is not the source of any batch')
    .optional()
    .meta({ description: 'Only batches of this source.' }),
  retryOf: z
    .string()
    .regex(BATCH_ID, 'is not the id of a batch')
    .optional()
    .meta({ description: 'Only batches that have the records of this one again.' }),
  dryRun: z.enum(['true', 'false']).optional().meta({ description: 'Only dry runs, or none of them.' }),
  since: timeParameter('Opened at this time or later.'),
  until: timeParameter('Opened before this time.'),
  cursor: z
    .string()
    .regex(/^[0-9a-z]{1,13}$/, 'is not a cursor of this list')
    .transform((text) => readCursor(text))
    .refine((no) => no <= MAX_NUMBER, 'is not a cursor of this list')
    .optional()
    .meta({ description: '`nextCursor` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'is not a whole number')
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `is not from 1 to ${MAX_PAGE}`)
    .default(50)
    .meta({ description: `Batches on a page, ${MAX_PAGE} at most.` }),
})

/** Cursors are numbers of the ledger in base 36. */
export const writeCursor = (no: bigint): string => no.toString(36)

function readCursor(text: string): bigint {
  let value = 0n
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36))
  return value
}

function timeParameter(description: string) {
  return z.iso
    .datetime({ offset: true, error: 'is not a time as 2026-11-21T08:00:00Z' })
    .transform((text) => new Date(text))
    .optional()
    .meta({ description })
}
