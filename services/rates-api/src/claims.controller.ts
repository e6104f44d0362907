import { Readable } from 'node:stream'
import { Controller, Headers, Param, Res } from '@nestjs/common'
import { type FastifyReply } from 'fastify'
import { z } from 'zod'
import { httpType } from './answers.ts'
import { ClaimReaders, expired } from './claim-readers.ts'
import { ClaimStore, type Claim } from './claim-store.ts'
import { beginsToWait } from './http.ts'
import { Problem } from './problem.ts'
import { Route } from './route.ts'
import { problemSchema } from './schemas.ts'

const idParams = z.object({ id: z.string().meta({ description: 'As the claim check has it.' }) })
const claimHeaders = z.object({
  'if-none-match': z.string().optional().meta({ description: 'The `etag` of what the caller has already.' }),
})

@Controller()
export class ClaimsController {
  readonly #claims: ClaimStore
  readonly #readers: ClaimReaders

  constructor(claims: ClaimStore, readers: ClaimReaders) {
    this.#claims = claims
    this.#readers = readers
  }

  @Route({
    method: 'GET',
    path: '/claims/:id',
    summary: 'An answer by message that was too large for a record',
    description:
      'What a claim check stands for, until it expires. Whoever knows the id may read it. A connection that ends before ' +
      '`content-length` bytes has not brought all of it.',
    params: idParams,
    headers: claimHeaders,
    answers: {
      200: {
        description: 'The content, of the type that the claim check says.',
        contentTypes: ['application/json', 'text/csv', 'application/x-ndjson'],
        headers: {
          'content-length': 'Bytes, as the claim check has it.',
          etag: 'Of its SHA-256.',
          'repr-digest': 'Its SHA-256, as RFC 9530 has it.',
          expires: 'Until when it is there.',
        },
      },
      304: { description: 'It is what the caller has.' },
      404: { description: 'There is none of this id.', schema: problemSchema },
      410: { description: 'It has expired.', schema: problemSchema },
      503: {
        description: 'It cannot be read now, or 16 callers read already; try again.',
        schema: problemSchema,
        headers: { 'retry-after': 'Seconds.' },
      },
    },
  })
  async read(
    @Param('id') id: string,
    @Headers('if-none-match') known: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const claim = await this.#claims.open(id)
    if (claim === 'unknown') throw new Problem(404, 'There is no claim of this id.')
    if (claim === 'expired') throw expired()
    const etag = `"sha256-${claim.sha256}"`
    const lasting = { etag, expires: claim.expiresAt.toUTCString(), 'cache-control': 'private, immutable' }
    // Without a body of its own an answer to HEAD would be given the length 0.
    const nothing = reply.request.method === 'HEAD' ? Readable.from([]) : undefined
    if (known !== undefined && isAmong(etag, known)) {
      await reply.status(304).headers(lasting).send(nothing)
      return
    }
    if (reply.raw.closed) return // nobody is there any more
    const stream = nothing ?? (await this.#readers.stream(claim, reply.raw))
    beginsToWait(reply)
    await reply.headers({ ...lasting, ...contentHeaders(claim) }).send(stream)
  }
}

const contentHeaders = ({ contentType, bytes, sha256 }: Claim): Record<string, string> => ({
  'content-type': httpType({ contentType }),
  'content-length': String(bytes),
  'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
  'x-content-type-options': 'nosniff',
})

/** By weak comparison, as RFC 9110 wants it here. */
const isAmong = (etag: string, list: string): boolean =>
  list.split(',').some((each) => ['*', etag].includes(each.trim().replace(/^W\//, '')))
