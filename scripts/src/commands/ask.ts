import { Command, InvalidArgumentError, Option } from 'commander'
import { findApi, urlOption } from '../api-url.ts'
import { askMany, askOne, type AskContext } from '../ask.ts'
import { Asker, MAX_QUERY_BYTES } from '../asker.ts'
import { explainKafka, kafkaSettings, requireBrokers } from '../brokers.ts'
import { CommandFailure, EXIT, exitWith, usage, usageExits } from '../exit.ts'
import { showElapsed } from '../follow-batch.ts'
import { rejectOn } from '../kafka-sender.ts'
import { queryLines } from '../query-lines.ts'
import { findRunning, orNothing } from '../running.ts'
import { stopRequest } from '../stop-request.ts'
import { parseDuration } from '../times.ts'

interface Options {
  from?: string
  to?: string
  dateFrom?: string
  dateTo?: string
  explain?: boolean
  batch?: string
  errors?: string
  dryRun?: boolean
  format?: string
  replyTo?: string
  wait: number
  output?: string
  json?: boolean
  url?: string
}

const HELP = `
A query is a record of the topic rates.queries, and its answer a record of the topic of replies; docs/wire.md has both.
What is answered are the bytes that HTTP has: JSON, or CSV and NDJSON where --format says so. An answer too large for a
record is fetched from the API and checked by its size and sha256; a file appears when all is in it, or not at all.

QUERY is the JSON of a query, - is standard input with one on each line: then each answer is a line of JSON with line,
status, contentType and body, in the order of the queries, of which 500 are on their way at a time. An answer of more
than 64 MB is not fetched for that: its line has the claim, by whose url it can be.

Exit codes (of many queries, the highest):
  0    answered
  1    the platform refuses the query, or there is no such batch: why is on standard error
  2    wrong usage, or the file cannot be written
  3    Kafka or the API cannot be reached, or there was no answer in time
  130  Ctrl-C

Examples:
  rates ask --from CNSGH --to north_europe_main --date-from 2026-01-01 --date-to 2026-01-10 --format csv
  rates ask --batch acme-1 | jq .state
  rates ask --errors acme-1 --format ndjson --output bad-rows.ndjson
  rates ask - < queries.ndjson | jq -c .body`

export function askCommand(): Command {
  const command = new Command('ask')
    .description('ask for rates, or about a batch, by a message')
    .argument('[QUERY]', 'the query as JSON; - reads queries from standard input')
    .option('--from <place>', "rates from there: a port's code or a region's slug")
    .option('--to <place>', 'to there')
    .option('--date-from <day>', 'from that day on, as 2026-01-31')
    .option('--date-to <day>', 'up to that day')
    .option('--explain', 'name the batches behind each day')
    .option('--batch <id>', 'how a batch stands')
    .option('--errors <id>', 'the bad rows of a batch: as JSON the first 1 000, else all')
    .option('--dry-run', 'of the dry run that had this id')
    .addOption(
      new Option('--format <format>', 'of the answer (default: json); ndjson is for --errors').choices([
        'json',
        'csv',
        'ndjson',
      ]),
    )
    .option('--reply-to <topic>', 'the topic for the answer, one that the platform allows')
    .addOption(new Option('--wait <duration>', 'wait so long for an answer').argParser(readWait).default(30, '30s'))
    .option('-o, --output <file>', 'write the answer to a file')
    .option('--json', 'print the answer with its status, as a line of JSON')
    .addOption(
      urlOption('of the API, for answers that are too large for a record (default: RATES_URL, else what runs here)'),
    )
    .addHelpText('after', HELP)
    .action((query: string | undefined, options: Options) => exitWith(() => run(query, options)))
  return usageExits(command)
}

async function run(argument: string | undefined, options: Options): Promise<number> {
  const { output, json = false, replyTo, wait, url } = options
  const query = readQuery(argument, options)
  const { brokers: list, prefix } = await findRunning('brokers')
  const brokers = list.split(',')
  const stop = stopRequest()
  await requireBrokers(brokers)
  const asker = new Asker(kafkaSettings(brokers, 'rates-ask'), prefix, replyTo, wait)
  const how = { json, output }
  const context: AskContext = {
    ask: (each) => {
      const answer = asker.ask(each)
      return query === '-' ? answer : waitFor(answer, 'waiting for the answer', stop)
    },
    waitSeconds: wait,
    api: () => orNothing(findApi(url)),
    signal: stop,
  }
  let asked: Promise<number> | undefined
  try {
    await waitFor(asker.ready, 'connecting to Kafka', stop)
    asked = query === '-' ? askMany(queryLines(process.stdin), context) : askOne(Buffer.from(query), how, context)
    return await Promise.race([asked, rejectOn(stop)])
  } catch (error) {
    if (stop.aborted) {
      if (output !== undefined) await asked?.catch(() => undefined) // it takes away what it has written
      return EXIT.interrupted
    }
    throw error instanceof CommandFailure ? error : (explainKafka(error, brokers) ?? error)
  } finally {
    if (query === '-') process.stdin.destroy()
    await asker.close()
  }
}

/** Tells what is going on where that takes long. @throws the signal's reason when it is aborted */
async function waitFor<T>(work: Promise<T>, label: string, signal: AbortSignal): Promise<T> {
  const over = new AbortController()
  const shown = showElapsed(label, AbortSignal.any([over.signal, signal]))
  try {
    return await Promise.race([work, rejectOn(signal)])
  } finally {
    over.abort()
    await shown
  }
}

/** The query that the options say, or the argument as it is; `-` is that of standard input. @throws CommandFailure */
export function readQuery(argument: string | undefined, options: Options): string {
  const { from, to, dateFrom, dateTo, explain, batch, errors, dryRun, format, output, json } = options
  const rates = { '--from': from, '--to': to, '--date-from': dateFrom, '--date-to': dateTo }
  const given = Object.values(rates).filter((each) => each !== undefined).length
  const ways = [argument, given > 0 || explain ? 'rates' : undefined, batch, errors].filter((way) => way !== undefined)
  if (ways.length !== 1) throw usage('One of these is wanted: --from …, --batch, --errors, or QUERY')
  const refuse = (name: string, value: unknown, by: string): void => {
    if (value !== undefined) throw usage(`${name} goes with ${by}`)
  }
  if (json && output !== undefined) throw usage('--json does not go with --output')
  if (given > 0 || explain) {
    const missing = Object.entries(rates).flatMap(([name, value]) => (value === undefined ? [name] : []))
    if (missing.length > 0) throw usage(`${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`)
    refuse('--dry-run', dryRun, '--batch and --errors')
    if (format === 'ndjson') throw usage('--format ndjson goes with --errors')
    const places = { date_from: dateFrom, date_to: dateTo, orig_code: from, dest_code: to }
    return JSON.stringify({ query: 'rates', ...places, explain: explain ? 'true' : undefined, format })
  }
  if (errors !== undefined) return JSON.stringify({ query: 'errors', id: errors, dryRun: dryRun && 'true', format })
  refuse('--format', format, '--from and --errors')
  if (batch !== undefined) return JSON.stringify({ query: 'batch', id: batch, dryRun: dryRun && 'true' })
  refuse('--dry-run', dryRun, '--batch and --errors')
  if (argument === '-') {
    refuse('--output', output, 'a single query')
  } else if (Buffer.byteLength(argument!) > MAX_QUERY_BYTES) throw usage('QUERY is too long')
  return argument!
}

function readWait(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds > 86_400)
    throw new InvalidArgumentError('It is a duration as 30s or 5m, up to 1d.')
  return seconds
}
