import { randomBytes } from 'node:crypto'
import { readEnvelope, writeBatchHeaders, type BatchHeaders } from '@rates/core/wire'
import { Command, InvalidArgumentError, Option } from 'commander'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { produce, type Platform, type ProduceRequest } from '../produce.ts'
import { Progress } from '../progress.ts'
import { findRunning, NothingRuns } from '../running.ts'
import { onStopRequest } from '../signals.ts'
import { parseDeadline, parseDuration } from '../times.ts'

interface Options {
  batchId?: string
  source?: string
  deadline?: string
  onDeadline?: 'fail' | 'flag'
  replaces?: string
  correlationId?: string
  replyTo?: string
  dryRun?: boolean
  format?: 'csv' | 'ndjson'
  compress: 'none' | 'gzip' | 'zstd'
  wait: boolean
  timeout: number
  json?: boolean
}

const HELP = `
FILE is CSV with the columns orig_code,dest_code,day,price (a header line may say so), or NDJSON, an object of those
four fields on each line; gzip and zstd are unpacked. All of it becomes visible at once, or nothing does.

To send the same file again under the same --batch-id is harmless: what has arrived counts once.

Exit codes:
  0    the batch succeeded (or was sent, with --no-wait)
  1    it failed, or the file was refused
  2    wrong usage, or no such file
  3    Kafka cannot be reached, or there was no reply in time
  4    it was cancelled: Ctrl-C does that
  130  Ctrl-C was pressed twice: the batch was left as it was

Examples:
  rates produce prices.csv --source acme --deadline +10m
  zcat prices.ndjson.gz | rates produce - --json | jq .rows`

export function produceCommand(): Command {
  const command = new Command('produce')
    .description('send a batch of prices and wait for its outcome')
    .argument('[FILE]', 'CSV or NDJSON; - is standard input', '-')
    .option('--batch-id <id>', 'the id of the batch (default: a new one, which is shown first)')
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
    .addOption(
      new Option('--format <format>', "of the rows (default: by the file's name, else its first byte)").choices([
        'csv',
        'ndjson',
      ]),
    )
    .addOption(
      new Option('--compress <how>', 'the chunks on the wire').choices(['none', 'gzip', 'zstd']).default('none'),
    )
    .option('--no-wait', 'do not wait for the reply')
    .addOption(
      new Option('--timeout <duration>', 'wait so long for the reply, once all is sent')
        .argParser(readTimeout)
        .default(3600, '1h'),
    )
    .option('--json', 'print the reply as JSON')
    .addHelpText('after', HELP)
    .action((file: string, options: Options) => exitWith(() => run(file, options)))
  return usageExits(command)
}

async function run(file: string, options: Options): Promise<number> {
  const request = readRequest(file, options, new Date())
  const platform = await findPlatform()
  const progress = new Progress()
  const stop = new AbortController()
  onStopRequest(
    () => stop.abort(),
    () => {
      progress.clear()
      process.exit(EXIT.interrupted)
    },
  )
  return produce(request, platform, progress, stop.signal)
}

/** @throws CommandFailure for options that the wire does not take */
export function readRequest(file: string, options: Options, now: Date): ProduceRequest {
  const { deadline: wanted, onDeadline, format, compress, wait, timeout, json = false } = options
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
  const { source, replaces, correlationId, replyTo, dryRun, batchId = newBatchId(now) } = options
  const batch = { batchId, source, replaces, deadline, onDeadline, replyTo, correlationId, dryRun }
  return {
    file,
    format,
    batch: checked(batch),
    encoding: compress === 'none' ? 'identity' : compress,
    wait,
    timeoutSeconds: timeout,
    json,
  }
}

/** What the platform would refuse is refused here, by the same rules: options are named as the headers are. */
function checked(batch: BatchHeaders): BatchHeaders {
  const read = readEnvelope(new Map(Object.entries(writeBatchHeaders(batch))))
  if (read.kind === 'fault') throw usage(`--${read.header}: ${JSON.stringify(read.value)} is not ${read.rule}`)
  return batch
}

const usage = (message: string): CommandFailure => new CommandFailure(EXIT.usage, message)

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

/** The API only shows progress: it may be missing. */
async function findPlatform(): Promise<Platform> {
  const { brokers, prefix } = await findRunning('brokers')
  const url = await findRunning('url').then(
    (found) => found.url,
    (error: unknown) => {
      if (error instanceof NothingRuns) return undefined
      throw error
    },
  )
  return { brokers: brokers.split(','), prefix, url }
}
