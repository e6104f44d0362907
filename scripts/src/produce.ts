import { setTimeout as sleep } from 'node:timers/promises'
import { type Reply } from '@rates/core/batch'
import { RowTooLong } from '@rates/core/chunk-cutter'
import { type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { EmptyBatch, produceBatch, TooManyChunks, type SentBatch } from '@rates/service/produce-batch'
import { explainInput, openInput, type BatchInput } from './batch-input.ts'
import { BatchSession } from './batch-session.ts'
import { explainKafka, kafkaSettings, requireBrokers } from './brokers.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { followBatch, showElapsed } from './follow-batch.ts'
import { describeReply, exitCodeOf } from './outcome.ts'
import { count, duration, megabytes, type Progress } from './progress.ts'
import { type ArrivedReply } from './reply-inbox.ts'
import { plural, shellWord } from './text.ts'

export interface ProduceRequest {
  /** `-` is standard input. */
  file: string
  format: 'csv' | 'ndjson' | undefined
  batch: BatchHeaders
  encoding: ContentEncoding
  /** For the reply. */
  wait: boolean
  /** From the last chunk's acknowledgement to the reply. */
  timeoutSeconds: number
  json: boolean
}

/** Where the platform is; the API's URL if it is known. */
export interface Platform {
  brokers: string[]
  prefix: string
  url: string | undefined
}

/** After a cancellation its confirmation is waited for so long. */
const CONFIRM_MILLISECONDS = 10_000

/**
 * Sends a batch and waits for its outcome, which it prints. An abort of `stop`, or a fault half-way, cancels the batch.
 * @returns the exit code @throws CommandFailure
 */
export async function produce(
  request: ProduceRequest,
  { brokers, prefix, url }: Platform,
  progress: Progress,
  stop: AbortSignal,
): Promise<number> {
  const { batch, file, wait } = request
  await requireBrokers(brokers)
  // What cannot be opened is told before anything else; standard input may come much later.
  let input: BatchInput | undefined
  try {
    if (file !== '-') input = await openInput(file, request.format, stop)
  } catch (error) {
    if (!stop.aborted) throw error
    return tellNothingSent()
  }
  announce(request)
  const kafka = kafkaSettings(brokers, 'rates-produce')
  const session = new BatchSession(kafka, prefix, batch, wait)
  const begun = Date.now()
  try {
    input ??= await openInput(file, request.format, stop)
    await connected(session, stop)
    const sent = await send(session, input, request, progress, stop)
    const sentAt = { clock: Date.now(), monotonic: performance.now() }
    if (!wait) return tellSent(request, sent)
    const arrived = await awaitReply(session, request, sent, url, progress, stop)
    const visibleSeconds = secondsToVisible(arrived, sentAt)
    const repeated = Date.parse(arrived.reply.finishedAt) < begun
    return tellReply(request, arrived.reply, input.name, { visibleSeconds, repeated, url })
  } catch (error) {
    progress.clear()
    const ending = { session, request, name: input?.name ?? file, brokers, url }
    return await (stop.aborted ? stopped(ending) : failed(error, ending))
  } finally {
    input?.close()
    await session.close()
  }
}

function announce({ batch: { batchId, deadline }, json }: ProduceRequest): void {
  const line = `batch ${batchId}${deadline === undefined ? '' : `, to be complete by ${deadline}`}`
  // With --json standard output holds one document.
  if (json) console.error(line)
  else console.log(line)
}

async function connected(session: BatchSession, stop: AbortSignal): Promise<void> {
  const over = new AbortController()
  const shown = showElapsed('connecting to Kafka', AbortSignal.any([over.signal, stop]))
  try {
    await Promise.race([session.ready, rejectOn(stop)])
  } finally {
    over.abort()
    await shown
  }
}

const rejectOn = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason as Error)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })

async function send(
  session: BatchSession,
  input: BatchInput,
  { batch, encoding }: ProduceRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<SentBatch> {
  const { size } = input
  const began = performance.now()
  progress.start('sending', size === undefined ? { unit: 'rows' } : { unit: 'bytes', total: size })
  const onChunk = ({ rows }: { rows: number }): void => {
    const speed = rows / Math.max((performance.now() - began) / 1000, 0.001)
    if (size === undefined) progress.update(rows)
    else progress.update(input.bytesRead(), `${count(rows)} rows  ${count(speed)} rows/s`)
  }
  const { topics, producer } = session
  const part = (): number | undefined => (size ? input.bytesRead() / size : undefined)
  const options = { encoding, onChunk, progress: part, signal }
  const sent = await produceBatch(producer, topics, input.pieces, input.format, batch, options)
  // What took no time needs no line.
  if (performance.now() - began < 500) progress.clear()
  else progress.finish()
  return sent
}

/** @throws CommandFailure at the time-out, the signal's reason when it is aborted */
async function awaitReply(
  session: BatchSession,
  { batch, timeoutSeconds }: ProduceRequest,
  sent: SentBatch,
  url: string | undefined,
  progress: Progress,
  stop: AbortSignal,
): Promise<ArrivedReply> {
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, stop])
  const id = encodeURIComponent(batch.batchId)
  const path = `/batches/${id}${batch.dryRun ? '?dryRun=true' : ''}`
  const shown =
    url === undefined
      ? showElapsed('waiting for the reply', signal)
      : followBatch({ url, path }, sent.rows, progress, signal)
  const limit = sleep(timeoutSeconds * 1000, undefined, { signal }).then(() => {
    const said = `There was no reply within ${duration(timeoutSeconds)}; the batch goes on`
    throw new CommandFailure(EXIT.unreachable, `${said}: rates show ${shellWord(batch.batchId)}`)
  })
  try {
    const arrived = await Promise.race([session.inbox.first, limit])
    if (arrived.reply.state === 'succeeded') progress.update(sent.rows)
    return arrived
  } catch (error) {
    stop.throwIfAborted()
    throw error
  } finally {
    over.abort()
    limit.catch(() => undefined)
    await shown
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

function tellSent({ batch, json }: ProduceRequest, sent: SentBatch): number {
  if (json) console.log(JSON.stringify({ batchId: batch.batchId, ...sent }))
  else console.log(`sent: ${plural(sent.rows, 'row')} in ${plural(sent.chunks, 'chunk')}, ${megabytes(sent.bytes)}`)
  return EXIT.done
}

function tellReply(
  { json }: ProduceRequest,
  reply: Reply,
  name: string,
  told: { visibleSeconds: number; repeated: boolean; url: string | undefined },
): number {
  console.log(json ? JSON.stringify(reply) : describeReply(reply, { ...told, name }))
  return exitCodeOf(reply)
}

interface Ending {
  session: BatchSession
  request: ProduceRequest
  name: string
  brokers: string[]
  url: string | undefined
}

function tellNothingSent(): number {
  console.error('cancelled: nothing was sent')
  return EXIT.cancelled
}

/** The person wants it ended, wherever it is. @returns the exit code */
async function stopped(ending: Ending): Promise<number> {
  const { session, request, name, url } = ending
  if (!session.attempted) return tellNothingSent()
  if (!request.batch.dryRun) console.error('cancelling the batch; Ctrl-C once more leaves it as it is')
  const arrived = await cancel(ending)
  // It may have ended before, and then this is how.
  if (arrived) return tellReply(request, arrived.reply, name, { visibleSeconds: 0, repeated: false, url })
  console.error(unconfirmed(request))
  return EXIT.cancelled
}

/** A fault of the input, of Kafka, or of ours: what was sent of the batch is cancelled where that can be done. */
async function failed(error: unknown, ending: Ending): Promise<never> {
  const { session, request, name, brokers } = ending
  const failure = explain(error, name, brokers)
  if (failure === error) throw error
  if (!session.attempted) {
    if (!failure) throw error
    throw new CommandFailure(failure.code, `${failure.message} Nothing was sent.`, error)
  }
  if (failure?.code === EXIT.unreachable) {
    const again = `send it again with --batch-id ${shellWord(request.batch.batchId)} to complete it`
    throw new CommandFailure(failure.code, `${failure.message} Nothing of the batch is visible; ${again}.`, error)
  }
  const arrived = await cancel(ending)
  if (!failure) throw error
  const left = arrived ? 'The batch was cancelled, nothing of it is visible.' : unconfirmed(request)
  throw new CommandFailure(failure.code, `${failure.message} ${left}`, error)
}

async function cancel({ session, request, brokers }: Ending): Promise<ArrivedReply | undefined> {
  try {
    await session.cancel()
  } catch (error) {
    throw explain(error, '', brokers) ?? error
  }
  if (!request.wait || request.batch.dryRun) return undefined
  return Promise.race([session.inbox.outcome, sleep(CONFIRM_MILLISECONDS, undefined, { ref: false })])
}

const unconfirmed = ({ batch, wait }: ProduceRequest): string =>
  batch.dryRun
    ? 'The dry run was left; it ends by itself.'
    : `The batch is being cancelled${wait ? ', its reply has not come yet' : ''}: rates show ${shellWord(batch.batchId)}`

/** What went wrong, for the person; undefined: a bug. */
function explain(error: unknown, name: string, brokers: readonly string[]): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error
  if (error instanceof EmptyBatch || error instanceof RowTooLong || error instanceof TooManyChunks) {
    const end = error.message.endsWith('?') ? '' : '.'
    return new CommandFailure(EXIT.refused, `${name}: ${error.message}${end}`, error)
  }
  const read = explainInput(error, name)
  return read instanceof CommandFailure ? read : explainKafka(error, brokers)
}
