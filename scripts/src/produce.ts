import { type Reply } from '@rates/core/batch'
import { RowTooLong } from '@rates/core/chunk-cutter'
import { type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { EmptyBatch, TooManyChunks } from '@rates/service/cut-batch'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiFailure } from './api.ts'
import { explainInput, openInput, type BatchInput } from './batch-input.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { rejectOn } from './kafka-sender.ts'
import { describeReply, exitCodeOf, type Sending } from './outcome.ts'
import { count, duration, megabytes, type Progress } from './progress.ts'
import { type ArrivedReply } from './reply-inbox.ts'
import { BatchRefused, type Arrived, type Sender, type Sent } from './sender.ts'
import { plural, shellWord } from './text.ts'

export interface ProduceRequest {
  /** `-` is standard input. */
  file: string
  format: 'csv' | 'ndjson' | undefined
  batch: BatchHeaders
  /** Undefined: as the way has it. */
  encoding: ContentEncoding | undefined
  /** For the outcome. */
  wait: boolean
  /** From the last chunk's acknowledgement to the outcome; over HTTP also for an API that does not answer. */
  timeoutSeconds: number
  json: boolean
  /** What other commands take to find the batch: its id, `--dry-run` if it is one, and `--url` where that was given. */
  named: string
}

/**
 * Sends a batch and waits for its outcome, which it prints. An abort of `stop`, or a fault half-way, cancels the batch.
 * `url` is the API's, if it is known. @returns the exit code @throws CommandFailure
 */
export async function produce(
  request: ProduceRequest,
  sender: Sender,
  url: string | undefined,
  progress: Progress,
  stop: AbortSignal,
): Promise<number> {
  const { file, format, wait } = request
  let input: BatchInput | undefined
  let sent: Sent | undefined
  try {
    // What cannot be reached or opened is told before anything else; standard input may come much later.
    await sender.reach(stop)
    if (file !== '-') input = await openInput(file, format, stop)
    announce(sender.batch, request)
    input ??= await openInput(file, format, stop)
    await sender.connect(stop)
    sent = await send(sender, input, request, progress, stop)
    const sentAt = { clock: Date.now(), monotonic: performance.now() }
    if (!wait && !sent.ended) return tellSent(request, sent)
    const arrived = await awaitOutcome(sender, request, sent, progress, stop)
    const { reply, repeated, hidden } = arrived
    const visibleSeconds = secondsToVisible(arrived, sentAt)
    return tellReply(request, reply, { name: input.name, visibleSeconds, repeated, hidden, url })
  } catch (error) {
    progress.clear()
    const ending = { sender, request, name: input?.name ?? file, url, sentAll: sent !== undefined }
    if (error instanceof BatchRefused) return tellEnd(ending, error.reply)
    return await (stop.aborted ? stopped(ending) : failed(error, ending))
  } finally {
    input?.close()
    await sender.close()
  }
}

function announce({ batchId, deadline }: BatchHeaders, { json }: ProduceRequest): void {
  const line = `batch ${batchId}${deadline === undefined ? '' : `, to be complete by ${deadline}`}`
  // With --json standard output holds one document.
  if (json) console.error(line)
  else console.log(line)
}

async function send(
  sender: Sender,
  input: BatchInput,
  { encoding }: ProduceRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<Sent> {
  const { size } = input
  const began = performance.now()
  let rows = 0
  let there = 0
  let trouble: string | undefined
  const show = (): void => {
    const speed = rows / Math.max((performance.now() - began) / 1000, 0.001)
    const told = trouble ?? `${count(rows)} rows  ${count(speed)} rows/s`
    if (size === undefined) progress.update(rows, trouble)
    else progress.update(input.bytesRead(), told)
  }
  progress.start('sending', size === undefined ? { unit: 'rows' } : { unit: 'bytes', total: size })
  const onSent = (sent: Sent): void => {
    rows = sent.rows
    there = sent.there ?? 0
    show()
  }
  const onTrouble = (reason: string | undefined): void => {
    trouble = reason && `${reason}; trying again`
    show()
  }
  const sent = await sender.send(input, { encoding, onSent, onTrouble, signal })
  // What took no time needs no line.
  if (performance.now() - began < 500) progress.clear()
  else progress.finish()
  if (there > 0 && !sent.ended) progress.note(`${count(there)} of ${plural(sent.chunks, 'chunk')} had come before`)
  return sent
}

/** @throws CommandFailure at the time-out, the signal's reason when it is aborted */
async function awaitOutcome(
  sender: Sender,
  { named, timeoutSeconds }: ProduceRequest,
  sent: Sent,
  progress: Progress,
  stop: AbortSignal,
): Promise<Arrived> {
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, stop])
  const limit = sleep(timeoutSeconds * 1000, undefined, { signal }).then(() => {
    const said = `There was no reply within ${duration(timeoutSeconds)}; the batch goes on`
    throw new CommandFailure(EXIT.unreachable, `${said}: rates watch ${named}`)
  })
  const outcome = sender.outcome(sent, progress, signal)
  try {
    return await Promise.race([outcome, limit, rejectOn(stop)])
  } catch (error) {
    stop.throwIfAborted()
    throw error
  } finally {
    over.abort()
    limit.catch(() => undefined)
    await outcome.catch(() => undefined) // it has left the line of progress alone then
    progress.finish()
  }
}

/**
 * By the clocks where they agree with what was seen, else the time until the reply came, which is a little more: the
 * platform's clock may be another than ours.
 */
export function secondsToVisible({ reply, at }: ArrivedReply, sent: { clock: number; monotonic: number }): number {
  const most = Math.max(0, (at - sent.monotonic) / 1000)
  const told = (Date.parse(reply.finishedAt) - sent.clock) / 1000
  return told >= 0 && told <= most ? told : most
}

function tellSent({ batch, json }: ProduceRequest, sent: Sent): number {
  if (json) console.log(JSON.stringify({ batchId: batch.batchId, ...sent }))
  else console.log(`sent: ${plural(sent.rows, 'row')} in ${plural(sent.chunks, 'chunk')}, ${megabytes(sent.bytes)}`)
  return EXIT.done
}

function tellReply({ json }: ProduceRequest, reply: Reply, sending: Sending): number {
  console.log(json ? JSON.stringify(reply) : describeReply(reply, sending))
  return exitCodeOf(reply)
}

interface Ending {
  sender: Sender
  request: ProduceRequest
  name: string
  url: string | undefined
  /** All of it was acknowledged. */
  sentAll: boolean
}

/** What has nothing to do with how long it took. */
const tellEnd = ({ request, name, url }: Ending, reply: Reply): number =>
  tellReply(request, reply, { name, visibleSeconds: 0, repeated: false, hidden: undefined, url })

function tellNothingSent(): number {
  console.error('cancelled: nothing was sent')
  return EXIT.cancelled
}

/** The person wants it ended, wherever it is. @returns the exit code */
async function stopped(ending: Ending): Promise<number> {
  const { sender, request } = ending
  if (!sender.attempted) return tellNothingSent()
  if (!request.batch.dryRun) console.error('cancelling the batch; Ctrl-C once more leaves it as it is')
  const reply = await cancel(ending).catch((error: unknown) => {
    if (!(error instanceof CommandFailure)) throw error
    throw new CommandFailure(error.code, `${error.message} ${notCancelled(request)}`, error)
  })
  if (!sender.attempted) return tellNothingSent()
  // It may have ended before, and then this is how.
  if (reply) return tellEnd(ending, reply)
  console.error(unconfirmed(request))
  return EXIT.cancelled
}

/** A fault of the input, of the way, or of ours: what was sent of the batch is cancelled where that can be done. */
async function failed(error: unknown, ending: Ending): Promise<never> {
  const { sender, request, name, sentAll } = ending
  // One that tells all there is to tell.
  if (error instanceof CommandFailure && !(error instanceof ApiFailure)) throw error
  const failure = explain(error, name, sender)
  if (failure && sentAll) {
    throw new CommandFailure(failure.code, `${failure.message} The batch goes on: rates watch ${request.named}`, error)
  }
  if (!sender.attempted) {
    if (!failure) throw error
    throw new CommandFailure(failure.code, `${failure.message} Nothing was sent.`, error)
  }
  if (failure?.code === EXIT.unreachable) {
    const again = `send it again with --batch-id ${shellWord(request.batch.batchId)} to complete it`
    throw new CommandFailure(failure.code, `${failure.message} Nothing of the batch is visible; ${again}.`, error)
  }
  const left = await cancel(ending).then(
    (reply) => (reply ? 'The batch was cancelled, nothing of it is visible.' : unconfirmed(request)),
    () => notCancelled(request), // what it began with is what the person has to know
  )
  if (!failure) throw error
  throw new CommandFailure(failure.code, `${failure.message} ${left}`, error)
}

async function cancel({ sender, request }: Ending): Promise<Reply | undefined> {
  try {
    return await sender.cancel(request.wait)
  } catch (error) {
    throw explain(error, '', sender) ?? error
  }
}

const unconfirmed = ({ batch, named, wait }: ProduceRequest): string =>
  batch.dryRun
    ? 'The dry run was left; it ends by itself.'
    : `The batch is being cancelled${wait ? ', its reply has not come yet' : ''}: rates show ${named}`

const notCancelled = ({ batch, named }: ProduceRequest): string =>
  `The ${batch.dryRun ? 'dry run' : 'batch'} could not be cancelled: rates cancel ${named}`

/** What went wrong, for the person; undefined: a bug. */
function explain(error: unknown, name: string, sender: Sender): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error
  if (error instanceof EmptyBatch || error instanceof RowTooLong || error instanceof TooManyChunks) {
    const end = error.message.endsWith('?') ? '' : '.'
    return new CommandFailure(EXIT.refused, `${name}: ${error.message}${end}`, error)
  }
  const read = explainInput(error, name)
  return read instanceof CommandFailure ? read : sender.explain(error)
}
