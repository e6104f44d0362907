import { setTimeout as sleep } from 'node:timers/promises'
import { type Reply } from '@rates/core/batch'
import { RowTooLong } from '@rates/core/chunk-cutter'
import { type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { createLogger } from '@rates/service/log'
import { EmptyBatch, produceBatch, TooManyChunks, type SentBatch } from '@rates/service/produce-batch'
import { explainInput, openInput, type BatchInput } from './batch-input.ts'
import { BatchSession } from './batch-session.ts'
import { explainKafka, requireBrokers } from './brokers.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { followBatch, showWaiting } from './follow-batch.ts'
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
  const kafka = { brokers, clientId: 'rates-produce', log: createLogger('rates-produce', 'silent') }
  const session = new BatchSession(kafka, prefix, batch, wait)
  const begun = Date.now()
  let input: BatchInput | undefined
  try {
    input = await openInput(file, request.format, stop)
    const sent = await send(session, input, request, progress, stop)
    const sentAt = { clock: Date.now(), monotonic: performance.now() }
    if (!wait) return tellSent(request, sent)
    const arrived = await awaitReply(session, request, sent, url, progress, stop)
    const visibleSeconds = secondsToVisible(arrived, sentAt)
    const repeated = Date.parse(arrived.reply.finishedAt) < begun
    return tellReply(request, arrived.reply, input.name, { visibleSeconds, repeated, url })
  } catch (error) {
    progress.clear()
    return await endEarly(error, session, request, input?.name ?? file, { brokers, url }, stop)
  } finally {
    input?.close()
    await session.close()
  }
}

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
  const sent = await produceBatch(producer, topics, input.pieces, input.format, batch, { encoding, onChunk, signal })
  progress.finish()
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
  const shown = url === undefined ? showWaiting(signal) : followBatch({ url, path }, sent.rows, progress, signal)
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
export function secondsToVisible(
  { reply, at }: ArrivedReply,
  sent: { clock: number; monotonic: number },
): number {
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
  { json, batch }: ProduceRequest,
  reply: Reply,
  name: string,
  told: { visibleSeconds: number; repeated: boolean; url: string | undefined },
): number {
  if (json) console.log(JSON.stringify(reply))
  else console.log(describeReply(reply, { ...told, name }))
  return exitCodeOf(reply) + 0 * batch.batchId.length
}

/** The batch is not to be, or nobody waits for it any more: cancels what was sent of it, and tells why. */
async function endEarly(
  error: unknown,
  session: BatchSession,
  request: ProduceRequest,
  name: string,
  { brokers, url }: { brokers: string[]; url: string | undefined },
  stop: AbortSignal,
): Promise<number> {
  const stopped = stop.aborted
  const failure = stopped ? undefined : explain(error, name, brokers)
  // Nobody can be told there, or the batch is complete and only its reply is late.
  if (failure?.code === EXIT.unreachable) throw failure
  if (!session.attempted) {
    if (failure) throw new CommandFailure(failure.code, `${failure.message} Nothing was sent.`, error)
    console.error('cancelled: nothing was sent')
    return EXIT.cancelled
  }
  console.error(stopped ? 'cancelling the batch; once more ends this at once' : `${failure!.message} Cancelling the batch.`)
  const arrived = await cancel(session, request, brokers)
  if (!stopped) throw new CommandFailure(failure!.code, arrived ? 'Cancelled: nothing of it is visible.' : UNCONFIRMED)
  if (arrived) return tellReply(request, arrived.reply, name, { visibleSeconds: 0, repeated: true, url })
  console.error(UNCONFIRMED)
  return EXIT.cancelled
}
