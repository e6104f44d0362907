import { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { httpDurations } from '@rates/service/metrics'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type Registry } from 'prom-client'
import { Problem } from './problem.ts'
import { type ProblemFilter } from './problem.filter.ts'

/** Longer request lines are refused; ours have a few hundred characters. */
const MAX_URL_LENGTH = 4096

const BODY_TYPES = ['text/csv', 'application/x-ndjson', 'application/json']

export interface HttpOptions {
  readonly registry: Registry
  readonly filter: ProblemFilter
  /** True once the process is to stop: callers are asked to connect elsewhere. */
  readonly draining: () => boolean
  /** Told each route that is served. */
  readonly onRoute?: ((method: string, path: string) => void) | undefined
  /** Told when a POST was answered, which may have changed something. */
  readonly onPost?: () => void
}

/** How long requests had taken when they began to wait for something to happen. */
const waits = new WeakMap<IncomingMessage, number>()

/** From now on the request waits because its caller wants it to: that time is no latency of ours. */
export function beginsToWait(reply: FastifyReply): void {
  waits.set(reply.request.raw, reply.elapsedTime)
}

/** The HTTP server that Nest's routes are put on. */
export function httpAdapter({ registry, filter, draining, onRoute, onPost }: HttpOptions): FastifyAdapter {
  const adapter = new FastifyAdapter({
    skipMiddie: true,
    multipart: false,
    // A request that came before the end is answered as any other; then its connection is closed.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512, ignoreTrailingSlash: false },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) =>
      filter.answer(error, request, reply),
  })
  const fastify = adapter.getInstance<FastifyInstance>()
  if (onRoute) fastify.addHook('onRoute', ({ method, url }) => [method].flat().forEach((each) => onRoute(each, url)))
  fastify.removeAllContentTypeParsers()
  // Bodies are streams: whoever takes them reads them, and nothing else gets in.
  fastify.addContentTypeParser(
    BODY_TYPES,
    (_request: unknown, body: IncomingMessage, done: (e: null, b: IncomingMessage) => void) => done(null, body),
  )
  const askToLeave = (reply: FastifyReply): void => {
    if (draining()) void reply.header('connection', 'close')
  }
  fastify.addHook('onRequest', (request, reply, done) => {
    askToLeave(reply)
    done(refusal(request))
  })
  // Once more when the answer goes out: a long upload may have begun before the end.
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    askToLeave(reply)
    done()
  })
  const durations = httpDurations(registry)
  fastify.addHook('onResponse', (request, reply, done) => {
    durations.observe(
      {
        http_request_method: request.method,
        http_route: request.is404 ? 'none' : (request.routeOptions.url ?? 'none'),
        http_response_status_code: String(reply.statusCode),
      },
      (waits.get(request.raw) ?? reply.elapsedTime) / 1e3,
    )
    if (request.method === 'POST') onPost?.()
    done()
  })
  return adapter
}

function refusal(request: FastifyRequest): Problem | undefined {
  if (request.url.length > MAX_URL_LENGTH) return new Problem(414, `longer than ${MAX_URL_LENGTH} characters`)
  if (isOfAnotherSite(request)) return new Problem(403, 'A page of another site cannot change anything here.')
  return undefined
}

/**
 * A browser lets any page send requests here, though not read the answers: nobody's batch is reverted by a link in a
 * mail. Without TLS it does not say by Sec-Fetch-Site where the page is from, but by Origin. Programs send neither.
 */
function isOfAnotherSite({ method, headers }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return false
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'cross-site' || site === 'same-site'
  return headers.origin !== undefined && !isOwn(headers.origin, headers)
}

/** Whether a page of this origin was served here; a proxy may have passed on another Host than it was asked for. */
function isOwn(origin: string, { host = '', 'x-forwarded-host': asked }: IncomingHttpHeaders): boolean {
  if (!URL.canParse(origin)) return false // null: the browser does not tell
  const { protocol, host: page } = new URL(origin)
  const here = `${protocol}//${[asked].flat()[0]?.split(',')[0]?.trim() ?? host}` // so that a default port is left out
  return page !== '' && URL.canParse(here) && new URL(here).host === page
}
