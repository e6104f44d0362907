import { CLAIM_TYPE } from '@rates/core/claim-check'
import { pipeline } from 'node:stream/promises'
import { fetchClaim, readClaim } from './answer-claim.ts'
import { type Answer } from './answer-inbox.ts'
import { asLine, problemOf, type AnswerLine } from './answer-line.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { inOrder } from './in-order.ts'
import { duration, count } from './progress.ts'
import { printable } from './text.ts'
import { writeWhole } from './write-whole.ts'

/** Asked and not printed yet. */
const IN_FLIGHT = 500
/** Of an answer that was put away and becomes a line: it is in memory then. */
const LINE_BYTES = 64e6

export interface AskContext {
  /** @returns undefined where no answer came in time */
  ask: (query: Uint8Array) => Promise<Answer | undefined>
  /** For messages. */
  waitSeconds: number
  /** The API's URL, if it is known: asked for when it is needed. */
  api: () => Promise<string | undefined>
  signal: AbortSignal
}

/** Asks one query and prints the answer, or writes it to a file. @returns the exit code @throws CommandFailure */
export async function askOne(
  query: Uint8Array,
  { json, output }: { json: boolean; output: string | undefined },
  context: AskContext,
): Promise<number> {
  const answer = await context.ask(query)
  if (answer === undefined) throw unanswered(context)
  if (json) {
    const line = await tell(answer, context)
    console.log(asLine(line))
    return codeOf(line)
  }
  if (answer.status >= 300) {
    console.error(`The platform answers ${answer.status}: ${printable(problemOf(answer), 2000)}`)
    return EXIT.refused
  }
  const { contentType, content } = await open(answer, context)
  if (output === undefined) await pipeline(withLineEnd(content), process.stdout, { end: false })
  else {
    let bytes = 0
    await writeWhole(
      output,
      each(content, (piece) => (bytes += piece.length)),
    ).catch((error: unknown) => {
      context.signal.throwIfAborted()
      throw error
    })
    console.log(`${output}: ${count(bytes)} bytes, ${contentType}`)
  }
  return EXIT.done
}

/** Asks many queries, one on each line, and prints a line of JSON for each, in their order. @returns the exit code */
export async function askMany(queries: AsyncIterable<Uint8Array>, context: AskContext): Promise<number> {
  let code: number = EXIT.done
  let number = 0
  const answers = inOrder(queries, IN_FLIGHT, context.ask)
  const lines = async function* (): AsyncGenerator<string> {
    for await (const answer of answers) {
      const line = answer === undefined ? { error: unanswered(context).message } : await tell(answer, context)
      code = Math.max(code, codeOf(line))
      yield `${asLine({ line: ++number, ...line })}\n`
    }
  }
  await pipeline(lines(), process.stdout, { end: false })
  return code
}

/** What an answer holds, wherever that lies. */
async function open(
  answer: Answer,
  { api, signal }: AskContext,
): Promise<{ contentType: string; content: AsyncIterable<Uint8Array> }> {
  if (answer.contentType !== CLAIM_TYPE) {
    const { contentType, value } = answer
    return { contentType, content: once(value) }
  }
  const claim = readClaim(answer.value)
  return { contentType: claim.contentType, content: fetchClaim(claim, await api(), signal) }
}

/** The answer as a line has it, with what was put away; a failure to fetch that is part of the line. */
async function tell(answer: Answer, context: AskContext): Promise<AnswerLine> {
  const { status, contentType, value } = answer
  if (contentType !== CLAIM_TYPE) return { status, contentType, body: value }
  const claim = readClaim(value)
  const told = { status, contentType: claim.contentType, claim }
  if (claim.bytes > LINE_BYTES) return { ...told, error: `it has ${count(claim.bytes)} bytes: fetch it by its claim` }
  try {
    const pieces: Uint8Array[] = []
    for await (const piece of (await open(answer, context)).content) pieces.push(piece)
    return { status, contentType: claim.contentType, body: Buffer.concat(pieces) }
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    return { ...told, error: error.message }
  }
}

/** The worst of many counts: without an answer, or without what it promised; refused; well. */
const codeOf = ({ status, error }: AnswerLine): number =>
  status === undefined || error !== undefined ? EXIT.unreachable : status >= 300 ? EXIT.refused : EXIT.done

function unanswered({ waitSeconds }: AskContext): CommandFailure {
  const said = `There was no answer within ${duration(waitSeconds)}`
  return new CommandFailure(EXIT.unreachable, `${said}: does an API run that answers queries? "rates status" shows it.`)
}

async function* once(value: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield value
}

async function* each(content: AsyncIterable<Uint8Array>, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    see(piece)
    yield piece
  }
}

/** What is printed ends with its line: JSON's bytes have no end of it. */
async function* withLineEnd(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: number | undefined
  yield* each(content, (piece) => (last = piece.at(-1) ?? last))
  if (last !== undefined && last !== 0x0a) yield Buffer.from('\n')
}
