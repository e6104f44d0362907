import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { EXIT, exitWith, usageExits } from '../exit.ts'
import { readLiveState } from '../running.ts'
import { isComplete, look } from '../status/look.ts'
import { describeStatus } from '../status/page.ts'
import { parseDuration } from '../times.ts'

interface Options {
  services: string[]
  watch?: number | true
  json?: boolean
}

const HELP = `
It looks at what "npm start" runs here, or at what DATABASE_URL, KAFKA_BROKERS, KAFKA_PREFIX and RATES_URL name.
"behind" counts records that no worker has taken to their end; partitions are those that each worker reads.

Exit codes: 0 shown; 2 wrong usage; 3 a part of it cannot be reached, the rest is shown.`

export function statusCommand(): Command {
  const command = new Command('status')
    .description('what runs, how far it is, and what needs somebody, on one screen')
    .option('--watch [every]', 'again and again, every 2s or as said, until Ctrl-C', readInterval)
    .option('--services <urls>', "the services' management addresses, separated by commas", readUrls, [])
    .option('--json', 'print it as JSON, with --watch a line each time')
    .addHelpText('after', HELP)
    .action((options: Options) => exitWith(() => status(options)))
  return usageExits(command)
}

async function status({ services, watch, json = false }: Options): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => (watch === undefined ? process.exit(EXIT.interrupted) : stop.abort()))
  }
  const every = watch === true ? 2 : watch
  const redraw = every !== undefined && process.stdout.isTTY && !json
  for (;;) {
    const found = await look({ state: await readLiveState(), env: process.env, services })
    const code = isComplete(found) ? EXIT.done : EXIT.unreachable
    if (stop.signal.aborted) return code
    const text = json ? JSON.stringify(found) : describeStatus(found).join('\n')
    // From the top, each line to its end, then what is left below: no flicker.
    if (redraw) process.stdout.write(`\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[K\n\x1b[J`)
    else console.log(every === undefined || json ? text : `${text}\n`)
    if (every === undefined) return code
    await sleep(every * 1000, undefined, { signal: stop.signal }).catch(() => undefined)
    if (stop.signal.aborted) return code
  }
}

function readInterval(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds < 0.2 || seconds > 86_400) {
    throw new InvalidArgumentError('It is a duration from 0.2s to 1d.')
  }
  return seconds
}

const readUrls = (text: string): string[] => text.split(',').filter((url) => url !== '')
