import { Command, Option } from 'commander'
import { findApi, urlOption } from '../api-url.ts'
import { addBatchOptions, addWaitOptions, readBatch, readWaiting, type BatchOptions } from '../batch-options.ts'
import { exitWith, usageExits } from '../exit.ts'
import { HttpSender } from '../http-sender.ts'
import { KafkaSender } from '../kafka-sender.ts'
import { produce, type ProduceRequest } from '../produce.ts'
import { Progress } from '../progress.ts'
import { findRunning, NothingRuns, orNothing } from '../running.ts'
import { type Sender } from '../sender.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends BatchOptions {
  format?: 'csv' | 'ndjson'
  compress?: 'none' | 'gzip' | 'zstd'
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
  addBatchOptions(command, 'a new one, which is shown first')
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
  const timeout = 'wait so long for the outcome, once all is sent; over HTTP also for an answer'
  addWaitOptions(command, timeout, 'print the reply as JSON; over HTTP a document like it')
    .addHelpText('after', HELP)
    .action((file: string, options: Options) => exitWith(() => run(file, options)))
  return usageExits(command)
}

async function run(file: string, options: Options): Promise<number> {
  const request = readRequest(file, options, new Date())
  const { sender, url } = await chooseWay(request, options)
  const progress = new Progress()
  const stop = stopRequest(() => progress.clear())
  return produce(request, sender, url, progress, stop)
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

/** @throws CommandFailure for options that the wire does not take */
export function readRequest(file: string, options: Options, now: Date): ProduceRequest {
  const { format, compress } = options
  const batch = readBatch(options, now)
  const encoding = compress === 'none' ? 'identity' : compress
  return { file, format, batch, encoding, ...readWaiting(options, batch) }
}
