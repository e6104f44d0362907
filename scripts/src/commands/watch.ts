import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch, type RowError } from '@rates/core/batch'
import { Command, InvalidArgumentError } from 'commander'
import { readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { readErrors } from '../bad-rows.ts'
import { replyOfBatch } from '../batch-reply.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { followBatch, hasEnded } from '../follow-batch.ts'
import { describeHidden, describeReply, exitCodeOf } from '../outcome.ts'
import { duration, Progress } from '../progress.ts'
import { onStopRequest } from '../signals.ts'
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
  const stop = new AbortController()
  onStopRequest(
    () => stop.abort(),
    () => process.exit(EXIT.interrupted),
  )
  if (id !== undefined) return watchOne(url, id, options, stop.signal)
  const { json = false } = options
  const live = process.stdout.isTTY && !process.env['CI'] && !json ? process.stdout : undefined
  const output = { line: (text: string) => console.log(text), note: (text: string) => console.error(text), live }
  await watchAll(url, json, output, stop.signal)
  return EXIT.done
}

async function watchOne(url: string, id: string, options: Options, stop: AbortSignal): Promise<number> {
  const { dryRun = false, json = false, timeout } = options
  const path = `/batches/${encodeURIComponent(id)}${dryRun ? '?dryRun=true' : ''}`
  const say = (batch: Batch): void => void (json && console.log(JSON.stringify(batch)))
  const over = new AbortController()
  const late = timeout !== undefined && sleep(timeout * 1000, undefined, { signal: over.signal, ref: false })
  const signal = AbortSignal.any([stop, over.signal])
  const progress = new Progress()
  let ended: Batch | undefined
  try {
    if (late)
      late.then(
        () => over.abort(),
        () => undefined,
      )
    const found = await readApi<Batch>(url, path, signal)
    if (!found) console.error(`Nothing has come of ${dryRun ? 'a dry run' : 'a batch'} ${id} yet; waiting for it.`)
    if (found && hasEnded(found)) say(found)
    ended = found && hasEnded(found) ? found : await followBatch({ url, path }, undefined, progress, signal, say)
    progress.finish()
  } catch (error) {
    progress.clear()
    if (!signal.aborted) throw error
  }
  progress.clear()
  const interrupted = stop.aborted
  const timedOut = over.signal.aborted
  over.abort()
  if (ended) return tell(url, ended, json)
  if (interrupted) return EXIT.interrupted
  if (!timedOut) throw new CommandFailure(EXIT.unreachable, `The API at ${url} told no outcome.`)
  throw new CommandFailure(EXIT.unreachable, `${id} had no outcome within ${duration(timeout!)}.`)
}

async function tell(url: string, batch: Batch, json: boolean): Promise<number> {
  const { id, dryRun, rows } = batch
  const errors = rows.rejected === 0 || json ? [] : (await readErrors({ url, id, dryRun })).errors
  const reply = replyOfBatch(batch, errors as RowError[])
  const hidden = describeHidden(batch)
  if (!json) console.log(describeReply(reply, { name: id, visibleSeconds: undefined, repeated: false, hidden, url }))
  return exitCodeOf(reply)
}

function readTimeout(text: string): number {
  const seconds = parseDuration(text)
  // Timers take no more.
  if (seconds === undefined || seconds > 2_000_000)
    throw new InvalidArgumentError('It is a duration as 90s, 10m or 1h.')
  return seconds
}
