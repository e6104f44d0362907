import { type ObjectClaim } from '@rates/core/object-claim'
import { type BatchHeaders } from '@rates/core/wire'
import { Writable } from 'node:stream'
import { deliver, type Content, type DeliveryRequest } from './deliver.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { KafkaSender, type Brokers } from './kafka-sender.ts'
import { Progress } from './progress.ts'
import { type Delivered } from './sender.ts'
import { Slots } from './slots.ts'
import { printable } from './text.ts'

/** Objects that are asked for side by side: each has connections of its own. */
const AT_ONCE = 4

export interface LoadRequest extends DeliveryRequest {
  claim: ObjectClaim
  batch: BatchHeaders
}

/**
 * Asks the platform to load objects, each as a batch of its own, and waits for the outcomes, which it prints. An abort of
 * `stop` cancels those that have not ended. @returns the highest of their exit codes @throws CommandFailure
 */
export async function load(
  requests: readonly LoadRequest[],
  platform: Brokers,
  progress: Progress,
  stop: AbortSignal,
): Promise<number> {
  const [only] = requests
  if (only && requests.length === 1) return loadOne(only, platform, progress, stop)
  let worst: number = EXIT.done
  const slots = new Slots(AT_ONCE)
  for (const request of requests) {
    await slots.begin(async () => {
      if (stop.aborted) return
      worst = Math.max(worst, await loadAmong(request, platform, stop))
    })
  }
  await slots.all()
  return stop.aborted ? Math.max(worst, EXIT.cancelled) : worst
}

function loadOne(request: LoadRequest, platform: Brokers, progress: Progress, stop: AbortSignal): Promise<number> {
  const sender = new KafkaSender(platform, request.batch, request.wait)
  return deliver({ request, sender, content: new NamedObject(request, sender), url: platform.url }, progress, stop)
}

/** One of several: without a line of progress, and what goes wrong with it keeps nobody from the others. */
async function loadAmong(request: LoadRequest, platform: Brokers, stop: AbortSignal): Promise<number> {
  const nowhere = new Writable({ write: (_, __, done) => done() })
  const sender = new KafkaSender(platform, request.batch, request.wait, nowhere)
  const content = new NamedObject(request, sender, nameOf(request.claim))
  try {
    return await deliver({ request, sender, content, url: platform.url }, new Progress(nowhere), stop)
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    console.error(`${nameOf(request.claim)}: ${error.message}`)
    return error.code
  }
}

class NamedObject implements Content {
  readonly name: string
  readonly announced: string
  readonly since = 'it was asked for'
  readonly label: string | undefined
  private readonly request: LoadRequest
  private readonly sender: KafkaSender

  constructor(request: LoadRequest, sender: KafkaSender, label?: string) {
    this.request = request
    this.sender = sender
    this.label = label
    this.name = nameOf(request.claim)
    this.announced = ` of ${this.name}`
  }

  async send(): Promise<Delivered> {
    await this.sender.sendClaim(this.request.claim)
    return {}
  }

  tellSent(): void {
    const { batch, claim, json, named } = this.request
    if (json) console.log(JSON.stringify({ batchId: batch.batchId, ...claim }))
    else console.log(`asked for: ${this.name}; its batch: rates watch ${named}`)
  }

  /** Nothing of it is here. */
  explain(): undefined {
    return undefined
  }
}

export const nameOf = ({ bucket, key }: ObjectClaim): string => `s3://${bucket}/${printable(key, 1024)}`
