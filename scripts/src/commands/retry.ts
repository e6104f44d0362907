import { Command } from 'commander'
import { ApiFailure, callApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { followBatch } from '../follow-batch.ts'
import { Progress } from '../progress.ts'
import { stopRequest } from '../stop-request.ts'
import { shellWord } from '../text.ts'
import { tellBatch } from '../tell-batch.ts'
import { parseDeadline } from '../times.ts'

interface Options {
  id?: string
  deadline?: string
  wait?: boolean
  json?: boolean
  url?: string
}

interface Retried {
  id: string
  retryOf: string
}

/** The API answers when all is sent: a second for a million rows. */
const ANSWER_MILLISECONDS = 290_000

export function retryCommand(): Command {
  const command = new Command('retry')
    .description('run a batch again that failed, was cancelled or reverted, while Kafka has its records')
    .argument('<ID>', 'the id of the batch')
    .option('--id <id>', 'the id of the new batch (default: ID.retry-1, or the next that is free)')
    .option('--deadline <time>', 'be complete by then: 2026-01-31T08:00:00Z, or from now +90s, +10m, +1h30m')
    .option('--wait', 'wait for the outcome')
    .option('--json', "print the API's answer; with --wait, the batch with its outcome")
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
The same rows are checked anew, against the ports as they are now. The new batch has the source, the reply topic and
whatever else the sender had said, but no deadline of its own.

Exit codes: 0 it is on its way (with --wait: it succeeded); 1 refused, or there is no such batch (with --wait: it failed,
too); 2 wrong usage; 3 the API cannot be reached; 4 with --wait: it was cancelled; 130 Ctrl-C, and it goes on.

Example: rates retry acme-1 --wait`,
    )
    .action((id: string, options: Options) => exitWith(() => retry(id, options)))
  return usageExits(command)
}

async function retry(id: string, options: Options): Promise<number> {
  const { id: newId, deadline: wanted, wait = false, json = false } = options
  const deadline = wanted === undefined ? undefined : parseDeadline(wanted, new Date())
  if (wanted !== undefined && deadline === undefined) {
    const said = JSON.stringify(wanted)
    throw new CommandFailure(
      EXIT.usage,
      `--deadline: ${said} is neither a time as 2026-01-31T08:00:00Z nor one from now as +10m`,
    )
  }
  const url = await findApi(options.url)
  const query = new URLSearchParams({ ...(newId !== undefined && { id: newId }), ...(deadline && { deadline }) })
  const path = `/batches/${encodeURIComponent(id)}/retry${query.size > 0 ? `?${query}` : ''}`
  const call = { method: 'POST', timeoutMs: ANSWER_MILLISECONDS } as const
  const { document } = await callApi<Retried>(url, path, call).catch((error: unknown) => {
    const none = error instanceof ApiFailure && error.status === 404 && error.problem?.code === 'not_seen_yet'
    throw none ? new CommandFailure(EXIT.refused, `There is no batch ${id}.`) : error
  })
  if (wait) return awaitOutcome(url, document, json)
  const { id: retried } = document
  const named = [retried, ...(options.url === undefined ? [] : ['--url', url])].map(shellWord).join(' ')
  console.log(json ? JSON.stringify(document) : `${id} runs again as ${retried}: rates watch ${named}`)
  return EXIT.done
}

async function awaitOutcome(url: string, { id, retryOf }: Retried, json: boolean): Promise<number> {
  // With --json standard output holds one document.
  if (json) console.error(`batch ${id}`)
  else console.log(`batch ${id}, which runs ${retryOf} again`)
  const progress = new Progress()
  const stop = stopRequest()
  const path = `/batches/${encodeURIComponent(id)}`
  const batch = await followBatch({ url, path }, undefined, progress, stop).catch((error: unknown) => {
    progress.clear()
    if (!stop.aborted) throw error
    return undefined
  })
  progress.finish()
  if (!batch && stop.aborted) return EXIT.interrupted
  if (!batch) throw new CommandFailure(EXIT.unreachable, `The API at ${url} told no outcome.`)
  return tellBatch(url, batch, json)
}
