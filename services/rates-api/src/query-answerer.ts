import { CLAIM_TYPE } from '@rates/core/claim-check'
import { type Logger } from '@rates/service/log'
import { passesByItself } from '@rates/service/wait-out'
import { type Answer, type Answers } from './answers.ts'
import { claimCheck, ClaimGone, ClaimTooLarge, type Claim, type ClaimStore } from './claim-store.ts'
import { Problem, problemDocument } from './problem.ts'
import { type QueryMessage, type Question } from './query-message.ts'

/** An answer that is not noted yet. */
export interface FreshAnswer {
  status: number
  contentType: string
  body: Buffer
  /** What was put away for it, and has to be sealed with it. */
  claim?: Claim
}

export interface AnswererParts {
  answers: Answers
  claims: Pick<ClaimStore, 'put'>
  /** Precedes the addresses of claims. */
  publicUrl: string
  /** An answer that is larger is put away. */
  maxBytes: number
  log: Logger
}

/** A query that PostgreSQL gave up so many times, for its limit of a statement's time, is answered by a problem. */
const MAX_TRIES = 3
/** Of what is handed to the claims at once. */
const PIECE_BYTES = 65_536

/** The claims' store did not take an answer: the query waits for it. */
class NotPutAway extends Error {
  constructor(cause: unknown) {
    super('an answer could not be put away', { cause })
    this.name = 'NotPutAway'
  }
}

/**
 * Whether a query waits for a fault to pass: a server is away; a table or a right is missing (class 42), which is the
 * installation's fault and is mended while we wait; a claim was swept before it was sealed.
 */
export const isWaitedFor = (error: unknown): boolean =>
  passesByItself(error) || error instanceof NotPutAway || error instanceof ClaimGone || /^42...$/.test(codeOf(error))

/** PostgreSQL's word for it, or, where its answer does not come in time, node-postgres'. */
const isStatementLimit = (error: unknown): boolean =>
  codeOf(error) === '57014' || (error as Partial<Error> | undefined)?.message === 'Query read timeout'
const codeOf = (error: unknown): string => String((error as { code?: unknown } | undefined)?.code)

/** Makes the answer to each query, whatever the query is. */
export class QueryAnswerer {
  readonly #parts: AnswererParts

  constructor(parts: AnswererParts) {
    this.#parts = parts
  }

  /** @throws only what isWaitedFor */
  async answer({ question }: Pick<QueryMessage, 'question'>): Promise<FreshAnswer> {
    for (let tries = 1; ; tries++) {
      try {
        if (question instanceof Problem) return problemAnswer(question)
        return await this.#fit(await this.#ask(question))
      } catch (error) {
        if (isStatementLimit(error) && tries < MAX_TRIES) continue
        const problem = this.#problemOf(error)
        if (problem === undefined) throw error
        return problemAnswer(problem)
      }
    }
  }

  #ask(question: Question): Promise<Answer> {
    const { answers } = this.#parts
    switch (question.query) {
      case 'rates':
        return answers.rates(question.asked, question.asked.format ?? 'json')
      case 'batch':
        return answers.batch(question.id, question.dryRun)
      case 'errors':
        return answers.errors(question.id, question.dryRun, question.format)
    }
  }

  #problemOf(error: unknown): Problem | undefined {
    const { log } = this.#parts
    if (error instanceof Problem) return error
    if (error instanceof ClaimTooLarge) {
      const extensions = { code: 'answer_too_large' }
      return new Problem(413, `The answer has more than ${error.maxBytes} bytes.`, { extensions })
    }
    if (isStatementLimit(error)) {
      log.warn({ err: error }, 'a query takes too long')
      const detail = 'The database did not answer this query in time; a smaller one may do.'
      return new Problem(503, detail, { extensions: { code: 'took_too_long' } })
    }
    if (isWaitedFor(error)) return undefined
    log.error({ err: error }, 'a query failed')
    return new Problem(500, 'This is a fault of the service; its log has the details.')
  }

  /** As it is where it fits into a record, else its claim check. */
  async #fit({ contentType, body }: Answer): Promise<FreshAnswer> {
    const { claims, publicUrl, maxBytes } = this.#parts
    const pieces = piecesOf(body)
    const held: Buffer[] = []
    let bytes = 0
    while (bytes <= maxBytes) {
      const next = await pieces.next()
      if (next.done) return { status: 200, contentType, body: Buffer.concat(held) }
      held.push(next.value)
      bytes += next.value.length
    }
    let fault: Error | undefined
    const all = async function* (): AsyncGenerator<Buffer> {
      try {
        while (held.length > 0) yield held.shift()!
        yield* pieces
      } catch (error) {
        fault = error as Error
        throw error
      }
    }
    const claim = await claims.put(all(), { contentType }).catch((error: unknown) => {
      throw fault ?? (error instanceof ClaimTooLarge ? error : new NotPutAway(error))
    })
    const check = Buffer.from(JSON.stringify(claimCheck(claim, publicUrl)))
    return { status: 200, contentType: CLAIM_TYPE, body: check, claim }
  }
}

async function* piecesOf(body: string | AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const text of typeof body === 'string' ? [body] : body) {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
  }
}

function problemAnswer(problem: Problem): FreshAnswer {
  const body = Buffer.from(JSON.stringify(problemDocument(problem)))
  return { status: problem.status, contentType: 'application/problem+json', body }
}
