import { randomBytes } from 'node:crypto'
import { readEnvelope, writeBatchHeaders, type BatchHeaders } from '@rates/core/wire'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { type DeliveryRequest } from './deliver.ts'
import { usage } from './exit.ts'
import { shellWord } from './text.ts'
import { parseDeadline, parseDuration } from './times.ts'

/** What a person may say of a batch, whatever it is made of, and of its outcome. */
export interface BatchOptions {
  batchId?: string
  source?: string
  deadline?: string
  onDeadline?: 'fail' | 'flag'
  replaces?: string
  correlationId?: string
  replyTo?: string
  dryRun?: boolean
  wait: boolean
  timeout: number
  json?: boolean
  url?: string
}

/** The options that become headers. */
export function addBatchOptions(command: Command, defaultId: string): Command {
  return command
    .option('--batch-id <id>', `the id of the batch (default: ${defaultId})`)
    .option('--source <name>', 'whose prices they are')
    .option('--deadline <time>', 'be complete by then: 2026-01-31T08:00:00Z, or from now +90s, +10m, +1h30m')
    .addOption(
      new Option(
        '--on-deadline <what>',
        'when the deadline passes: the batch fails, or the delay is only seen',
      ).choices(['fail', 'flag']),
    )
    .option('--replaces <id>', 'a batch of the same source that this one takes the place of')
    .option('--correlation-id <text>', 'comes back in the reply')
    .option('--reply-to <topic>', 'the topic for the reply, one that the platform allows')
    .option('--dry-run', 'check every row and store nothing')
}

/** The options of waiting. */
export function addWaitOptions(command: Command, timeout: string, json: string): Command {
  return command
    .option('--no-wait', 'do not wait for the outcome')
    .addOption(new Option('--timeout <duration>', timeout).argParser(readTimeout).default(3600, '1h'))
    .option('--json', json)
}

/** @throws CommandFailure for options that the wire does not take */
export function readBatch(
  options: BatchOptions,
  now: Date,
  batchId = options.batchId ?? newBatchId(now),
): BatchHeaders {
  const { deadline: wanted, onDeadline, source, replaces, correlationId, replyTo, dryRun } = options
  const deadline = wanted === undefined ? undefined : parseDeadline(wanted, now)
  if (wanted !== undefined && deadline === undefined) {
    throw usage(
      `--deadline: ${JSON.stringify(wanted)} is neither a time as 2026-01-31T08:00:00Z nor one from now as +10m`,
    )
  }
  if (onDeadline !== undefined && deadline === undefined) throw usage('--on-deadline needs a --deadline')
  if (deadline !== undefined && onDeadline !== 'flag' && Date.parse(deadline) <= now.getTime()) {
    throw usage(`--deadline: ${deadline} has passed`)
  }
  return checked({ batchId, source, replaces, deadline, onDeadline, replyTo, correlationId, dryRun })
}

/** What becomes of a batch that was sent. */
export const readWaiting = (options: BatchOptions, { batchId, dryRun }: BatchHeaders): DeliveryRequest => ({
  wait: options.wait,
  timeoutSeconds: options.timeout,
  json: options.json ?? false,
  named: [batchId, ...(dryRun ? ['--dry-run'] : []), ...(options.url === undefined ? [] : ['--url', options.url])]
    .map(shellWord)
    .join(' '),
})

/** What the platform would refuse is refused here, by the same rules: options are named as the headers are. */
function checked(batch: BatchHeaders): BatchHeaders {
  const read = readEnvelope(new Map(Object.entries(writeBatchHeaders(batch))))
  if (read.kind === 'fault') throw usage(`--${read.header}: ${JSON.stringify(read.value)} is not ${read.rule}`)
  return batch
}

/** `cli-20260131T080000-4f2a9c`: sorts by time, and two that start in the same second differ. */
export function newBatchId(now: Date): string {
  const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
  return `cli-${time}-${randomBytes(3).toString('hex')}`
}

function readTimeout(text: string): number {
  const seconds = parseDuration(text)
  // Timers take no more.
  if (seconds === undefined || seconds > 2_000_000)
    throw new InvalidArgumentError('It is a duration as 90s, 10m or 1h.')
  return seconds
}
