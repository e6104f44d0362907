import { Controller, Query } from '@nestjs/common'
import { type DailyRate } from '@rates/core/daily-rates'
import { readRatesQuery, type QueryParameters } from '@rates/core/rates-query'
import { z } from 'zod'
import { type ExplainedRate } from './explained-rates.ts'
import { Problem } from './problem.ts'
import { Rates } from './rates.ts'
import { Route } from './route.ts'
import { problemSchema, ratesSchema } from './schemas.ts'

const day = (which: string, example: string): z.ZodType =>
  z.string().meta({ description: `The ${which} day, as YYYY-MM-DD.`, examples: [example] })
const place = (which: string, example: string): z.ZodType =>
  z
    .string()
    .meta({ description: `${which}: a port's code, or a region's slug for all of its ports.`, examples: [example] })

@Controller()
export class RatesController {
  readonly #rates: Rates

  constructor(rates: Rates) {
    this.#rates = rates
  }

  @Route({
    method: 'GET',
    path: '/',
    summary: 'A greeting',
    answers: {
      200: {
        description: 'The service answers.',
        schema: z.strictObject({ message: z.string() }).meta({ id: 'Greeting' }),
      },
    },
  })
  greet(): { message: string } {
    return { message: 'Hello world!' }
  }

  @Route({
    method: 'GET',
    path: '/rates',
    summary: 'Daily average prices from one place to another',
    description:
      'One entry for every day of the range, the newest first. Of a repeated parameter the first counts; an empty one ' +
      'counts as left out. A range that ends before it begins has no entries, an unknown place has no prices.',
    // The order of the checks and the texts are the original service's: readRatesQuery keeps them.
    query: z.object({
      date_from: day('first', '2021-01-01'),
      date_to: day('last', '2021-01-10'),
      orig_code: place('From', 'CNSGH'),
      dest_code: place('To', 'north_europe_main'),
      explain: z
        .enum(['true', 'false'])
        .default('false')
        .meta({ description: '`true`: name the batches behind each day; for 366 days at most.' }),
    }),
    answers: {
      200: { description: 'The rates.', schema: ratesSchema },
      400: {
        description:
          '`Invalid date arguments`, `Invalid location arguments`, `Invalid explain argument` or (over 3 660 days) ' +
          '`Range too long`.',
        schema: problemSchema,
      },
    },
  })
  async rates(@Query() query: QueryParameters): Promise<{ rates: (DailyRate | ExplainedRate)[] }> {
    const asked = readRatesQuery(query)
    if (typeof asked === 'string') throw new Problem(400, asked)
    return { rates: await this.#rates.read(asked) }
  }
}
