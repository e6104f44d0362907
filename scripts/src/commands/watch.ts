import { type Batch } from '@rates/core/batch'
import { Command, InvalidArgumentError } from 'commander'
import { readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { followBatch, hasEnded } from '../follow-batch.ts'
import { duration, Progress } from '../progress.ts'
import { stopRequest } from '../stop-request.ts'
import { tellBatch } from '../tell-batch.ts'
import { parseDuration } from '../times.ts'
import { watchAll } from '../watch-all.ts'

interface Options {
  dryRun?: boolean
  timeout?: number
  json?: boolean
  url?: string
}

const HELP = `
With an ID it shows the batch's progress until its outcome, also of one that nobody has sent yet, and ends as "produce"
does. Without, it tells of all batches as they are opened, end, and are hidden, until Ctrl-C; in a terminal those that
load are shown below. Times are UTC.

Exit codes:
  0    the batch succeeded; or all were watched until Ctrl-C
  1    it failed
  2    wrong usage
  3    the API cannot be reached, or --timeout is over
  4    it was cancelled
  130  Ctrl-C while the batch was loading, which goes on

Examples:
  rates watch
  rates watch acme-1 --timeout 10m && echo visible
  rates watch --json | jq -r 'select(.state == "failed") | .id'`

export function watchCommand(): Command {
  const command = new Command('watch')
    .description('follow a batch until its outcome, or all batches as they come')
    .argument('[ID]', 'the id of a batch')
    .option('--dry-run', 'the dry run that has this id')
    .option(
      '--timeout <duration>',
      'wait so long for the outcome of a batch (default: for as long as it takes)',
      readTimeout,
    )
    .option('--json', 'print each batch as a line of JSON whenever it changes')
    .addOption(urlOption())
    .addHelpText('after', HELP)
    .action((id: string | undefined, options: Options) => exitWith(() => watch(id, options)))
  return usageExits(command)
}

async function watch(id: string | undefined, options: Options): Promise<number> {
  if (id === undefined && (options.dryRun ?? options.timeout) !== undefined) {
    throw new CommandFailure(EXIT.usage, `--${options.dryRun ? 'dry-run' : 'timeout'} needs the ID of a batch`)
  }
  const url = await findApi(options.url)
  const stop = stopRequest()
  if (id !== undefined) return watchOne(url, id, options, stop)
  const { json = false } = options
  const live = process.stdout.isTTY && !process.env['CI'] && !json ? process.stdout : undefined
  const output = { line: (text: string) => console.log(text), note: (text: string) => console.error(text), live }
  await watchAll(url, json, output, stop)
  return EXIT.done
}

async function watchOne(url: string, id: string, options: Options, stop: AbortSignal): Promise<number> {
  const { dryRun = false, json = false, timeout } = options
  const path = `/batches/${encodeURIComponent(id)}${dryRun ? '?dryRun=true' : ''}`
  // The last line is that of the outcome.
  const say = (batch: Batch): void => void (json && !hasEnded(batch) && console.log(JSON.stringify(batch)))
  const limit = timeout === undefined ? [] : [AbortSignal.timeout(timeout * 1000)]
  const signal = AbortSignal.any([stop, ...limit])
  const progress = new Progress()
  try {
    const found = await readApi<Batch>(url, path, signal)
    if (!found) console.error(`Nothing has come of ${dryRun ? 'a dry run' : 'a batch'} ${id} yet; waiting for it.`)
    const ended = found && hasEnded(found) ? found : await followBatch({ url, path }, undefined, progress, signal, say)
    progress.finish()
    if (ended) return await tellBatch(url, ended, json)
  } catch (error) {
    progress.clear()
    if (!signal.aborted) throw error
  }
  progress.clear()
  if (stop.aborted) return EXIT.interrupted
  const said = signal.aborted
    ? `${id} had no outcome within ${duration(timeout!)}.`
    : `The API at ${url} told no outcome.`
  throw new CommandFailure(EXIT.unreachable, said)
}

function readTimeout(text: string): number {
  const seconds = parseDuration(text)
  // Timers take no more.
  if (seconds === undefined || seconds > 2_000_000)
    throw new InvalidArgumentError('It is a duration as 90s, 10m or 1h.')
  return seconds
}
