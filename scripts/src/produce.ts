import { RowTooLong } from '@rates/core/chunk-cutter'
import { type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { EmptyBatch, TooManyChunks } from '@rates/service/cut-batch'
import { explainInput, openInput, type BatchInput } from './batch-input.ts'
import { deliver, type Content, type DeliveryRequest } from './deliver.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { count, megabytes, type Progress } from './progress.ts'
import { type Sender, type Sent } from './sender.ts'
import { plural } from './text.ts'

export interface ProduceRequest extends DeliveryRequest {
  /** `-` is standard input. */
  file: string
  format: 'csv' | 'ndjson' | undefined
  batch: BatchHeaders
  /** Undefined: as the way has it. */
  encoding: ContentEncoding | undefined
}

/**
 * Sends the rows of a file, or of standard input, as a batch. `url` is the API's, if it is known.
 * @returns the exit code @throws CommandFailure
 */
export const produce = (
  request: ProduceRequest,
  sender: Sender,
  url: string | undefined,
  progress: Progress,
  stop: AbortSignal,
): Promise<number> => deliver({ request, sender, content: new Rows(request, sender), url }, progress, stop)

class Rows implements Content<Sent> {
  private readonly request: ProduceRequest
  private readonly sender: Sender
  private input: BatchInput | undefined

  constructor(request: ProduceRequest, sender: Sender) {
    this.request = request
    this.sender = sender
  }

  get name(): string {
    return this.input?.name ?? this.request.file
  }

  async open(stop: AbortSignal): Promise<void> {
    if (this.request.file !== '-') await this.await(stop)
  }

  /** Standard input begins when it likes to. */
  async await(stop: AbortSignal): Promise<void> {
    this.input ??= await openInput(this.request.file, this.request.format, stop)
  }

  async send(progress: Progress, stop: AbortSignal): Promise<Sent> {
    if (!this.input) throw new Error('await() comes first')
    return send(this.sender, this.input, this.request, progress, stop)
  }

  tellSent(sent: Sent): void {
    const { batch, json } = this.request
    if (json) console.log(JSON.stringify({ batchId: batch.batchId, ...sent }))
    else console.log(`sent: ${plural(sent.rows, 'row')} in ${plural(sent.chunks, 'chunk')}, ${megabytes(sent.bytes)}`)
  }

  explain(error: unknown): CommandFailure | undefined {
    if (error instanceof EmptyBatch || error instanceof RowTooLong || error instanceof TooManyChunks) {
      const end = error.message.endsWith('?') ? '' : '.'
      return new CommandFailure(EXIT.refused, `${this.name}: ${error.message}${end}`, error)
    }
    const read = explainInput(error, this.name)
    return read instanceof CommandFailure ? read : undefined
  }

  close(): void {
    this.input?.close()
  }
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
