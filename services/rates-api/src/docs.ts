import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import fastifyStatic from '@fastify/static'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type ProblemFilter } from './problem.filter.ts'
import { Problem } from './problem.ts'

const FILES = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'])

// Links are relative to /docs, so that the page works below any prefix.
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rates</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
`
const START = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#page', deepLinking: true })
`

/** Serves the OpenAPI document, and a page to read it that asks no other host for anything. */
export async function serveDocs(
  fastify: FastifyInstance,
  filter: ProblemFilter,
  document: () => object,
): Promise<void> {
  const root = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  await fastify.register(fastifyStatic, { root, serve: false })
  let json: string | undefined
  fastify.get('/openapi.json', (_, reply) => {
    json ??= JSON.stringify(document())
    return reply.header('content-type', 'application/json').send(json)
  })
  fastify.get('/docs', (_, reply) =>
    reply
      .header('content-security-policy', "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:")
      .header('content-type', 'text/html; charset=utf-8')
      .send(PAGE),
  )
  // Nest's handler of errors is for its own routes.
  const errorHandler = (error: Error, request: FastifyRequest, reply: FastifyReply): void =>
    filter.answer(error, request, reply)
  fastify.get<{ Params: { file: string } }>('/docs/:file', { errorHandler }, (request, reply) => {
    const { file } = request.params
    if (file === 'start.js') return reply.header('content-type', 'text/javascript; charset=utf-8').send(START)
    if (!FILES.has(file)) throw new Problem(404, 'There is no such file.')
    return reply.sendFile(file, { maxAge: '1h' })
  })
}
