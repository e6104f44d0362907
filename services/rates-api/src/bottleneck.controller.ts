import { Controller, Headers, Query, Res } from '@nestjs/common'
import { type FastifyReply } from 'fastify'
import { z } from 'zod'
import { Bottleneck } from './bottleneck.ts'
import { bottleneckPage, PAGE_POLICY } from './bottleneck-page.ts'
import { bottleneckSchema } from './bottleneck-schema.ts'
import { readParameters, Route } from './route.ts'

const query = z.object({
  format: z.enum(['json', 'html']).optional().meta({ description: 'Instead of the `Accept` header.' }),
})

@Controller()
export class BottleneckController {
  readonly #bottleneck: Bottleneck

  constructor(bottleneck: Bottleneck) {
    this.#bottleneck = bottleneck
  }

  @Route({
    method: 'GET',
    path: '/bottleneck',
    summary: 'Which stage of loading is the bottleneck, and why',
    description:
      'From what the workers have written in the last minute of their time: a page for people, which renews itself, and ' +
      'JSON for programs. What waits in Kafka and no worker has seen is not in the backlog.',
    query,
    answers: {
      200: { description: 'The verdict.', schema: bottleneckSchema, contentTypes: ['text/html'] },
    },
  })
  async show(
    @Query() given: unknown,
    @Headers('accept') accept: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { format } = readParameters(query, given)
    const view = await this.#bottleneck.read()
    void reply.headers({ 'cache-control': 'no-store', vary: 'accept' })
    if ((format ?? preferred(accept)) === 'json') await reply.send(view)
    else {
      await reply
        .headers({ 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY })
        .send(bottleneckPage(view))
    }
  }
}

/** Browsers name text/html; JSON for everyone else. */
const preferred = (accept = ''): 'json' | 'html' => (/\btext\/html\b/i.test(accept) ? 'html' : 'json')
