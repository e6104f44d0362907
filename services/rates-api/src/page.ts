import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { PageFiles } from './page-files.ts'
import { type ProblemFilter } from './problem.filter.ts'
import { Problem } from './problem.ts'

/** Nothing comes from anywhere else, nobody frames it, no form of it goes anywhere, and no text becomes a script. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Routes that answer programs, and show the page to browsers. */
const SHARED = new Set(['/', '/batches', '/batches/:id'])
/** Routes of the page alone. */
const OWN = ['/upload', '/explore']

/**
 * Serves the page of libs/page, as its build made it: to browsers at addresses that answer programs with JSON, too.
 * Links and assets are relative, so that it works below any prefix.
 */
export function servePage(fastify: FastifyInstance, filter: ProblemFilter): void {
  // Nest's handler of errors is for its own routes.
  const errorHandler = (error: Error, request: FastifyRequest, reply: FastifyReply): void =>
    filter.answer(error, request, reply)
  const files = new PageFiles(join(dirname(createRequire(import.meta.url).resolve('@rates/page/package.json')), 'dist'))
  const send = (reply: FastifyReply, route: string): FastifyReply => {
    const shell = files.shell()
    if (shell === undefined) throw new Problem(503, 'The page is not built: npm run build.')
    return reply
      .headers({
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': POLICY,
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      .send(shell.replace('{{base}}', route === '/batches/:id' ? '../' : './'))
  }
  fastify.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url
    if (!isRead(request) || route === undefined || !SHARED.has(route)) return done()
    void reply.header('vary', 'accept')
    if (!isFromBrowser(request)) return done()
    try {
      send(reply, route)
    } catch (error) {
      done(error as Error)
    }
  })
  for (const route of OWN) fastify.get(route, { errorHandler }, (_, reply) => send(reply, route))
  fastify.get<{ Params: { file: string } }>('/page/:file', { errorHandler }, (request, reply) => {
    const file = files.asset(request.params.file, request.headers['accept-encoding'])
    if (file === undefined) throw new Problem(404, 'There is no such file.')
    return reply
      .headers({
        'content-type': file.type,
        ...(file.encoding !== undefined && { 'content-encoding': file.encoding }),
        vary: 'accept-encoding',
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
      })
      .send(file.content)
  })
}

const isRead = ({ method }: FastifyRequest): boolean => method === 'GET' || method === 'HEAD'

/** Browsers name text/html when a person goes to an address; `?format=json` shows them what programs see. */
const isFromBrowser = ({ headers, query }: FastifyRequest): boolean =>
  /\btext\/html\b/i.test(headers.accept ?? '') && (query as Record<string, unknown>)['format'] === undefined
