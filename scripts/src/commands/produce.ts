import { randomBytes } from 'node:crypto'
import { readEnvelope, writeBatchHeaders, type BatchHeaders } from '@rates/core/wire'
import { Command, InvalidArgumentError, Option } from 'commander'
import { findApi, urlOption } from '../api-url.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { HttpSender } from '../http-sender.ts'
import { KafkaSender } from '../kafka-sender.ts'
import { produce, type ProduceRequest } from '../produce.ts'
import { Progress } from '../progress.ts'
import { findRunning, NothingRuns } from '../running.ts'
import { type Sender } from '../sender.ts'
import { onStopRequest } from '../signals.ts'
import { shellWord } from '../text.ts'
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
  compress?: 'none' | 'gzip' | 'zstd'
  wait: boolean
  timeout: number
  json?: boolean
  url?: string
}

const HELP = `
FILE is CSV with the columns orig_code,dest_code,day,price (a header line may say so), or NDJSON, an object of those
four fields on each line; gzip and zstd are unpacked. All of it becomes visible at once, or nothing does.

It goes over Kafka where that is known: by KAFKA_BROKERS, or because "rates start" runs here. With --url, or where only
RATES_URL is known, it goes over HTTP: chunk by chunk, and each is tried again for as long as --timeout says, so that a
lost connection or a restart of the API costs nothing.

To send the same file again under the same --batch-id is harmless: what has arrived counts once. Over HTTP it goes on
where it was: what is stored already is not sent again. What went over Kafka goes on over HTTP, and the other way round,
with the same --compress.

Exit codes:
  0    the batch succeeded (or was sent, with --no-wait)
  1    it failed, or the file was refused
  2    wrong usage, or no such file
  3    Kafka or the API cannot be reached, or there was no outcome in time
  4    it was cancelled: Ctrl-C does that
  130  Ctrl-C was pressed twice: the batch was left as it was

Examples:
  rates produce prices.csv --source acme --deadline +10m
  rates produce prices.csv.gz --url https://rates.example.com --batch-id acme-2026-01-31
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
      new Option('--compress <how>', 'the chunks on the wire (default: over Kafka none, over HTTP zstd)').choices([
        'none',
        'gzip',
        'zstd',
      ]),
    )
    .addOption(urlOption('send it over HTTP, to this API'))
    .option('--no-wait', 'do not wait for the outcome')
    .addOption(
      new Option('--timeout <duration>', 'wait so long for the outcome, once all is sent; over HTTP also for an answer')
        .argParser(readTimeout)
        .default(3600, '1h'),
    )
    .option('--json', 'print the reply as JSON; over HTTP a document like it')
    .addHelpText('after', HELP)
    .action((file: string, options: Options) => exitWith(() => run(file, options)))
  return usageExits(command)
}

async function run(file: string, options: Options): Promise<number> {
  const request = readRequest(file, options, new Date())
  const { sender, url } = await chooseWay(request, options)
  const progress = new Progress()
  const stop = new AbortController()
  onStopRequest(
    () => stop.abort(),
    () => {
      progress.clear()
      process.exit(EXIT.interrupted)
    },
  )
  return produce(request, sender, url, progress, stop.signal)
}

/** Kafka where it is known, unless `--url` says otherwise: there the API only shows progress, and may be missing. */
async function chooseWay(
  { batch, wait, timeoutSeconds: seconds }: ProduceRequest,
  { url: given, deadline }: Options,
): Promise<{ sender: Sender; url: string | undefined }> {
  const [kafka, url] = await Promise.all([
    given === undefined ? orNothing(findRunning('brokers')) : undefined,
    orNothing(findApi(given)),
  ])
  if (kafka) {
    const platform = { brokers: kafka.brokers.split(','), prefix: kafka.prefix, url }
    return { sender: new KafkaSender(platform, batch, wait), url }
  }
  if (url === undefined) {
    const where = 'KAFKA_BROKERS, or RATES_URL or --url for HTTP,'
    throw new NothingRuns(`Nothing runs here: start it (npm start), or set ${where} to what runs elsewhere.`)
  }
  const relativeDeadline = deadline?.startsWith('+') ?? false
  return { sender: new HttpSender({ url, relativeDeadline, seconds }, batch), url }
}

async function orNothing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (error instanceof NothingRuns) return undefined
    throw error
  }
}

/** @throws CommandFailure for options that the wire does not take */
export function readRequest(file: string, options: Options, now: Date): ProduceRequest {
  const { deadline: wanted, onDeadline, format, compress, wait, timeout, json = false, url } = options
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
    named: [batchId, ...(dryRun ? ['--dry-run'] : []), ...(url === undefined ? [] : ['--url', url])]
      .map(shellWord)
      .join(' '),
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
