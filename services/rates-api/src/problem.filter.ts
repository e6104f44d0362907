import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common'
import { type Logger } from '@rates/service/log'
import { isTransient } from '@rates/service/transient'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { Problem, problemDocument } from './problem.ts'

/** A claim's id opens it: it stands in no log, however it is written. */
const loggable = ({ url, routeOptions: { url: route } }: FastifyRequest): string =>
  route?.startsWith('/claims/') ? route : url.slice(0, 200)

/** Every error becomes application/problem+json. What is not the caller's fault is logged, and told without its insides. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>())
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = this.#problem(error)
    if (problem.status >= 500) {
      const line = { err: error, method: request.method, url: loggable(request), status: problem.status }
      this.#log[problem.status === 503 ? 'warn' : 'error'](line, 'request failed')
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy() // a stream that broke: the caller must not take it for whole
      return
    }
    void reply
      .status(problem.status)
      .headers({ ...problem.headers })
      .header('content-type', 'application/problem+json')
      .send(JSON.stringify(problemDocument(problem)))
  }

  #problem(error: unknown): Problem {
    if (error instanceof Problem) return error
    if (error instanceof HttpException) {
      const status = error.getStatus()
      return new Problem(status, status === 404 ? 'There is no such route.' : error.message)
    }
    if (isTransient(error)) {
      return new Problem(503, 'The database cannot be reached.', { headers: { 'retry-after': '1' } })
    }
    // Fastify's own, such as a path that is no valid UTF-8.
    const { statusCode } = error as { statusCode?: unknown }
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return new Problem(statusCode, (error as Error).message)
    }
    return new Problem(500, 'This is a fault of the service; its log has the details.')
  }
}
