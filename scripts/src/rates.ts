import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { usageExits } from './exit.ts'

/** Each is loaded when it is called, so that `rates --help` and small commands start at once. */
const commands: Record<string, string> = {
  start: 'start everything: PostgreSQL, Kafka, the API, two ingest workers',
  reset: 'forget the data of what `rates start` runs',
  import: 'import a dump of the original schema',
  ports: 'list ports, add and change them by a file',
  regions: 'list regions, add and change them by a file',
  produce: 'send a batch of prices and wait for its outcome',
  load: 'load files of an object store, each as a batch',
  ask: 'ask for rates, or about a batch, by a message',
  list: 'list batches, newest first',
  show: 'show a batch',
  watch: 'follow a batch until its outcome, or all batches as they come',
  errors: 'the bad rows of a batch',
  revert: 'hide a batch that succeeded',
  cancel: 'end a batch that is still loading',
  retry: 'run a batch again, while Kafka has its records',
  status: 'what runs, how far it is, and what needs somebody, on one screen',
  doctor: 'check settings, PostgreSQL, Kafka and the services, and say what to do',
  'dead-letters': 'list, show and send again what workers could not use',
  rewind: 'let the workers read again what came since a time, after a restore of the database',
  verify: 'prove that what is stored is what was accepted',
  check: 'send a batch of three prices, read it back, revert it',
  topics: 'create the topics',
  kafka: 'run a tool of Kafka, such as console-producer, against the broker',
}

const here = import.meta.url
const fileOf = (name: string) => new URL(`./commands/${name}${extname(fileURLToPath(here))}`, here)

async function load(name: string): Promise<Command> {
  const module = (await import(fileOf(name).href)) as Record<string, () => Command>
  return module[`${name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())}Command`]!()
}

async function main(args: string[]) {
  const program = usageExits(new Command('rates'))
    .description('Freight rates: batches of prices in over Kafka, daily averages out.')
    .enablePositionalOptions()
    .showHelpAfterError()
  const wanted = args.find((arg) => !arg.startsWith('-'))
  for (const [name, description] of Object.entries(commands)) {
    if (!existsSync(fileOf(name))) continue // an image leaves out what is for a laptop
    if (name === wanted) program.addCommand(await load(name))
    else program.command(name).description(description)
  }
  await program.parseAsync(args, { from: 'user' })
}

/** Errors that were foreseen are told in their own words; anything else is a bug and shows where it came from. */
main(process.argv.slice(2)).catch((error: unknown) => {
  const foreseen =
    error instanceof Error && ['Missing', 'NothingRuns', 'CommandFailure', 'ConfigError'].includes(error.name)
  console.error(foreseen ? error.message : error)
  process.exitCode ||= 1
})
