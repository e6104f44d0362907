import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Problem } from './problem.ts'

/** Nothing comes from anywhere else, nobody frames it, and no form of it goes anywhere. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'self'; " +
  "form-action 'none'; frame-ancestors 'none'"

/** Routes that answer programs, and show the page to browsers. */
const SHARED = new Set(['/', '/batches', '/batches/:id'])
/** Routes of the page alone. */
const OWN = ['/upload', '/explore']

/** The names hold the hash of the content: see libs/page/build.mjs. */
const ASSET = /^app-[A-Z0-9]{8}\.(js|css)$/
const TYPES: Record<string, string> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' }

/**
 * Serves the page of libs/page, as its build made it: to browsers at addresses that answer programs with JSON, too.
 * Links and assets are relative, so that it works below any prefix.
 */
export function servePage(fastify: FastifyInstance): void {
  const dist = join(dirname(createRequire(import.meta.url).resolve('@rates/page/package.json')), 'dist')
  let shell: string | undefined
  const send = (reply: FastifyReply, route: string): FastifyReply => {
    const file = join(dist, 'index.html')
    if (shell === undefined && !existsSync(file)) throw new Problem(503, 'The page is not built: npm run build.')
    shell ??= readFileSync(file, 'utf8')
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
    if (request.method !== 'GET' || route === undefined || !SHARED.has(route)) return done()
    void reply.header('vary', 'accept')
    if (!isFromBrowser(request)) return done()
    try {
      send(reply, route)
    } catch (error) {
      done(error as Error)
    }
  })
  for (const route of OWN) fastify.get(route, (_, reply) => send(reply, route))
  fastify.get<{ Params: { file: string } }>('/page/:file', (request, reply) => {
    const { file } = request.params
    const path = join(dist, file)
    if (!ASSET.test(file) || !existsSync(path)) throw new Problem(404, 'There is no such file.')
    return reply
      .headers({
        'content-type': TYPES[file.split('.').at(-1)!],
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
      })
      .send(readFileSync(path))
  })
}

/** Browsers name text/html when a person goes to an address; `?format=json` shows them what programs see. */
const isFromBrowser = ({ headers, query }: FastifyRequest): boolean =>
  /\btext\/html\b/i.test(headers.accept ?? '') && (query as Record<string, unknown>)['format'] === undefined
