import { type Reply } from '@rates/core/batch'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiFailure } from './api.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { rejectOn } from './kafka-sender.ts'
import { describeReply, exitCodeOf, type Sending } from './outcome.ts'
import { duration, type Progress } from './progress.ts'
import { type ArrivedReply } from './reply-inbox.ts'
import { BatchRefused, type Arrived, type Delivered, type Sender } from './sender.ts'
import { shellWord } from './text.ts'

/** What the person wants of a batch, whatever it is made of. */
export interface DeliveryRequest {
  /** For the outcome. */
  wait: boolean
  /** From the last acknowledgement to the outcome; over HTTP also for an API that does not answer. */
  timeoutSeconds: number
  json: boolean
  /** What other commands take to find the batch: its id, `--dry-run` if it is one, and `--url` where that was given. */
  named: string
}

/** What a batch is made of. */
export interface Content<S extends Delivered = Delivered> {
  /** For messages. */
  readonly name: string
  /** What is told of it beside the batch's id. */
  readonly announced?: string
  /** Since when the time until it is visible is told; by default since the last of it was sent. */
  readonly since?: string
  /** What tells its success from others'. */
  readonly label?: string | undefined
  /** Before anything else is told: what cannot be opened is told at once. */
  open?(stop: AbortSignal): Promise<void>
  /** For what may come much later. */
  await?(stop: AbortSignal): Promise<void>
  send(progress: Progress, stop: AbortSignal): Promise<S>
  /** What --no-wait prints. */
  tellSent(sent: S): void
  /** What went wrong with it, for the person; undefined: it has nothing to do with that. */
  explain(error: unknown): CommandFailure | undefined
  close?(): void
}

export interface Delivery<S extends Delivered = Delivered> {
  request: DeliveryRequest
  sender: Sender<S>
  content: Content<S>
  /** Of the API, if it is known. */
  url: string | undefined
}

/**
 * Sends a batch and waits for its outcome, which it prints. An abort of `stop`, or a fault half-way, cancels the batch.
 * @returns the exit code @throws CommandFailure
 */
export async function deliver<S extends Delivered>(
  delivery: Delivery<S>,
  progress: Progress,
  stop: AbortSignal,
): Promise<number> {
  const { request, sender, content, url } = delivery
  let sentAll = false
  try {
    // What cannot be reached or opened is told before anything else.
    await sender.reach(stop)
    await content.open?.(stop)
    announce(delivery)
    await content.await?.(stop)
    await sender.connect(stop)
    const sent = await content.send(progress, stop)
    sentAll = true
    const sentAt = { clock: Date.now(), monotonic: performance.now() }
    if (!request.wait && !sent.ended) {
      content.tellSent(sent)
      return EXIT.done
    }
    const arrived = await awaitOutcome(delivery, sent, progress, stop)
    const { reply, repeated, hidden } = arrived
    const visibleSeconds = secondsToVisible(arrived, sentAt)
    const { name, since, label } = content
    return tellReply(request, reply, { name, visibleSeconds, repeated, hidden, url, since, label })
  } catch (error) {
    progress.clear()
    if (error instanceof BatchRefused) return tellEnd(delivery, error.reply)
    return await (stop.aborted ? stopped(delivery) : failed(error, delivery, sentAll))
  } finally {
    content.close?.()
    await sender.close()
  }
}

function announce({ sender, request, content }: Delivery): void {
  const { batchId, deadline } = sender.batch
  const until = deadline === undefined ? '' : `, to be complete by ${deadline}`
  const line = `batch ${batchId}${content.announced ?? ''}${until}`
  // With --json standard output holds one document.
  if (request.json) console.error(line)
  else console.log(line)
}

/** @throws CommandFailure at the time-out, the signal's reason when it is aborted */
async function awaitOutcome(
  { sender, request: { named, timeoutSeconds } }: Delivery,
  sent: Delivered,
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

function tellReply({ json }: DeliveryRequest, reply: Reply, sending: Sending): number {
  console.log(json ? JSON.stringify(reply) : describeReply(reply, sending))
  return exitCodeOf(reply)
}

/** What has nothing to do with how long it took. */
const tellEnd = ({ request, content: { name }, url }: Delivery, reply: Reply): number =>
  tellReply(request, reply, { name, visibleSeconds: 0, repeated: false, hidden: undefined, url })

function tellNothingSent(): number {
  console.error('cancelled: nothing was sent')
  return EXIT.cancelled
}

/** The person wants it ended, wherever it is. @returns the exit code */
async function stopped(delivery: Delivery): Promise<number> {
  const { sender } = delivery
  if (!sender.attempted) return tellNothingSent()
  if (!sender.batch.dryRun) console.error('cancelling the batch; Ctrl-C once more leaves it as it is')
  const reply = await cancel(delivery).catch((error: unknown) => {
    if (!(error instanceof CommandFailure)) throw error
    throw new CommandFailure(error.code, `${error.message} ${notCancelled(delivery)}`, error)
  })
  if (!sender.attempted) return tellNothingSent()
  // It may have ended before, and then this is how.
  if (reply) return tellEnd(delivery, reply)
  console.error(unconfirmed(delivery))
  return EXIT.cancelled
}

/** A fault of the input, of the way, or of ours: what was sent of the batch is cancelled where that can be done. */
async function failed(error: unknown, delivery: Delivery, sentAll: boolean): Promise<never> {
  const { sender, request } = delivery
  // One that tells all there is to tell.
  if (error instanceof CommandFailure && !(error instanceof ApiFailure)) throw error
  const failure = explain(error, delivery)
  if (failure && sentAll) {
    throw new CommandFailure(failure.code, `${failure.message} The batch goes on: rates watch ${request.named}`, error)
  }
  if (!sender.attempted) {
    if (!failure) throw error
    throw new CommandFailure(failure.code, `${failure.message} Nothing was sent.`, error)
  }
  if (failure?.code === EXIT.unreachable) {
    const again = `send it again with --batch-id ${shellWord(sender.batch.batchId)} to complete it`
    throw new CommandFailure(failure.code, `${failure.message} Nothing of the batch is visible; ${again}.`, error)
  }
  const left = await cancel(delivery).then(
    (reply) => (reply ? 'The batch was cancelled, nothing of it is visible.' : unconfirmed(delivery)),
    () => notCancelled(delivery), // what it began with is what the person has to know
  )
  if (!failure) throw error
  throw new CommandFailure(failure.code, `${failure.message} ${left}`, error)
}

async function cancel(delivery: Delivery): Promise<Reply | undefined> {
  try {
    return await delivery.sender.cancel(delivery.request.wait)
  } catch (error) {
    throw explain(error, delivery) ?? error
  }
}

const unconfirmed = ({ sender: { batch }, request: { named, wait } }: Delivery): string =>
  batch.dryRun
    ? 'The dry run was left; it ends by itself.'
    : `The batch is being cancelled${wait ? ', its reply has not come yet' : ''}: rates show ${named}`

const notCancelled = ({ sender: { batch }, request: { named } }: Delivery): string =>
  `The ${batch.dryRun ? 'dry run' : 'batch'} could not be cancelled: rates cancel ${named}`

/** What went wrong, for the person; undefined: a bug. */
const explain = (error: unknown, { content, sender }: Delivery): CommandFailure | undefined =>
  error instanceof CommandFailure ? error : (content.explain(error) ?? sender.explain(error))
