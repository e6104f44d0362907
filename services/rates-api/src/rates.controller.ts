import { Controller, Headers, Query, Res } from '@nestjs/common'
import { readRatesQuery, type QueryParameters } from '@rates/core/rates-query'
import { type FastifyReply } from 'fastify'
import { z } from 'zod'
import { preferred } from './accept.ts'
import { Answers, httpType } from './answers.ts'
import { Problem } from './problem.ts'
import { Route } from './route.ts'
import { problemSchema, ratesSchema } from './schemas.ts'

const FORMATS = { json: 'application/json', csv: 'text/csv' } as const

const day = (which: string, example: string): z.ZodType =>
  z.string().meta({ description: `The ${which} day, as YYYY-MM-DD.`, examples: [example] })
const place = (which: string, example: string): z.ZodType =>
  z
    .string()
    .meta({ description: `${which}: a port's code, or a region's slug for all of its ports.`, examples: [example] })

@Controller()
export class RatesController {
  readonly #answers: Answers

  constructor(answers: Answers) {
    this.#answers = answers
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
      format: z
        .enum(['json', 'csv'])
        .optional()
        .meta({ description: 'Instead of the `Accept` header; JSON unless that names `text/csv`.' }),
    }),
    answers: {
      200: {
        description:
          'The rates. As CSV a line for each day, with `explain=true` one for each day and batch; empty fields for null.',
        schema: ratesSchema,
        contentTypes: [FORMATS.csv],
      },
      400: {
        description:
          '`Invalid date arguments`, `Invalid location arguments`, `Invalid explain argument`, (over 3 660 days) ' +
          '`Range too long` or `Invalid format argument`.',
        schema: problemSchema,
      },
    },
  })
  async rates(
    @Query() query: QueryParameters,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const asked = readRatesQuery(query)
    if (typeof asked === 'string') throw new Problem(400, asked)
    const answer = await this.#answers.rates(asked, asked.format ?? preferred(accept, FORMATS))
    void reply.headers({ vary: 'accept', 'content-type': httpType(answer) })
    return answer.body
  }
}
