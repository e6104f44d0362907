import { type KafkaSettings } from '@rates/service/kafka'
import { topicNames } from '@rates/service/topics'
import { Command, InvalidArgumentError } from 'commander'
import { explainKafka, kafkaSettings, requireBrokers, withAdmin } from '../brokers.ts'
import { LetterBox, type Filter } from '../dead-letters/box.ts'
import { describeLetter, letterJson, listLetters } from '../dead-letters/page.ts'
import { redriveAll, redriveThese } from '../dead-letters/redrive-run.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { findRunning } from '../running.ts'
import { onStopRequest } from '../signals.ts'
import { parsePast } from '../times.ts'

interface FilterOptions {
  reason?: string
  batch?: string
  since?: number
}

interface ListOptions extends FilterOptions {
  limit: number
  json?: boolean
}

interface RedriveOptions extends FilterOptions {
  all?: boolean
  dryRun?: boolean
  yes?: boolean
  json?: boolean
}

const CODES = `
Exit codes: 0 done; 1 there is no such dead letter, or one was refused; 2 wrong usage; 3 Kafka or PostgreSQL cannot be
reached; 130 interrupted.`

const REDRIVE_HELP = `
The record goes to the topic where it was, with its own headers, and workers take it as any other. It is refused if its
batch has ended or it would contradict an open one, and if it was cut for its length. One that is a whole batch without
a batch-id gets the id that it would have had at its first place: to send a dead letter again twice is harmless.

What was wrong with the record itself is still wrong, unless the platform has changed since. Rows of a batch that has
failed are sent as a batch of their own:
  rates dead-letters show ID --raw | rates produce -
${CODES}`

export function deadLettersCommand(): Command {
  const command = new Command('dead-letters').description('list, show and send again what workers could not use')
  const list = withFilter(new Command('list').description('list dead letters, newest first'))
    .option('--limit <n>', 'at most so many', readLimit, 20)
    .option('--json', 'print them as JSON')
    .addHelpText('after', CODES)
    .action((options: ListOptions) => exitWith(() => openBox(options.since, (box) => listOf(box, options))))
  const show = new Command('show')
    .description('show why a dead letter is here, its headers and the beginning of its value')
    .argument('<ID>', 'as list shows it: <partition>-<offset>', readId)
    .option('--raw', 'write the value alone, all its bytes as they were sent')
    .option('--json', 'print it as JSON, the value in base64')
    .addHelpText('after', CODES)
    .action((id: string, options: { raw?: boolean; json?: boolean }) =>
      exitWith(() => openBox(undefined, (box) => showOne(box, id, options))),
    )
  const redrive = withFilter(new Command('redrive').description('send dead letters to their topic again'))
    .argument('[IDS...]', 'as list shows them', readIds)
    .option('--all', 'all that are there, or that the filters leave')
    .option('--dry-run', 'say what would be done, and send nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print the outcome as JSON')
    .addHelpText('after', REDRIVE_HELP)
    .action((ids: string[], options: RedriveOptions) => exitWith(() => redriveOf(ids, options)))
  for (const each of [list, show, redrive]) command.addCommand(usageExits(each))
  return usageExits(command)
}

function withFilter(command: Command): Command {
  return command
    .option('--reason <reason>', 'only these, such as not_a_batch or id_conflict')
    .option('--batch <id>', 'only records of this batch')
    .option('--since <time>', 'only those set aside since: 2026-01-31T08:00:00Z, or before now as 2h', readSince)
}

async function listOf(box: LetterBox, { limit, json, ...filter }: ListOptions): Promise<number> {
  const { letters, more } = await box.newest(filter, limit)
  if (json) console.log(JSON.stringify(letters.map((letter) => letterJson(letter))))
  else if (letters.length === 0) console.log('There are no such dead letters.')
  else {
    console.log(listLetters(letters).join('\n'))
    if (more) console.log('There are older ones: --limit shows more.')
  }
  return EXIT.done
}

async function showOne(box: LetterBox, id: string, { raw, json }: { raw?: boolean; json?: boolean }): Promise<number> {
  const found = await box.find(id)
  if (!found) throw new CommandFailure(EXIT.refused, `There is no dead letter ${id}, or not any more.`)
  const { letter, record } = found
  if (raw) {
    await new Promise<void>((resolve) => process.stdout.write(record.value ?? '', () => resolve()))
    if (letter.cut !== undefined) console.error(`warning: it was cut: ${letter.cut}`)
  } else if (json) console.log(JSON.stringify(letterJson(letter, record)))
  else console.log((await describeLetter(letter, record.value)).join('\n'))
  return EXIT.done
}

async function redriveOf(ids: string[], options: RedriveOptions): Promise<number> {
  const { all = false, dryRun = false, yes = false, json = false, reason, batch, since } = options
  if (all === ids.length > 0) throw new CommandFailure(EXIT.usage, 'Name dead letters by their ids, or say --all.')
  const filter: Filter = { reason, batch, since }
  if (!all && Object.values(filter).some((value) => value !== undefined)) {
    throw new CommandFailure(EXIT.usage, '--reason, --batch and --since go with --all.')
  }
  const { databaseUrl } = await findRunning('databaseUrl')
  return openBox(since, (box, kafka, prefix, signal) => {
    const how = { kafka, databaseUrl, prefix, dryRun, yes, json, signal }
    return all ? redriveAll(box, filter, how) : redriveThese(box, ids, how)
  })
}

/** Runs `work` on the dead letters; Ctrl-C ends it. */
async function openBox(
  since: number | undefined,
  work: (box: LetterBox, kafka: KafkaSettings, prefix: string, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { brokers: list, prefix } = await findRunning('brokers')
  const brokers = list.split(',')
  await requireBrokers(brokers)
  const stop = new AbortController()
  const interrupted = new CommandFailure(EXIT.interrupted, 'Interrupted.')
  onStopRequest(
    () => stop.abort(interrupted),
    () => process.exit(EXIT.interrupted),
  )
  const kafka = kafkaSettings(brokers, 'rates-dead-letters')
  try {
    return await withAdmin(kafka, async (admin) => {
      const { deadLetters } = topicNames(prefix)
      if (!(await admin.topics()).includes(deadLetters)) {
        throw new CommandFailure(EXIT.unreachable, `Kafka has no topic ${deadLetters}: "rates topics" creates it.`)
      }
      const box = await LetterBox.open(kafka, admin, deadLetters, since, stop.signal)
      try {
        return await work(box, kafka, prefix, stop.signal)
      } finally {
        await box.close()
      }
    })
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw explainKafka(error, brokers) ?? error
  }
}

function readSince(text: string): number {
  const time = parsePast(text, new Date())
  if (time === undefined)
    throw new InvalidArgumentError('It is a time as 2026-01-31T08:00:00Z, or one before now as 2h.')
  return time
}

function readId(text: string): string {
  if (!/^\d{1,9}-\d{1,18}$/.test(text)) throw new InvalidArgumentError('It is <partition>-<offset>, as list shows it.')
  return text
}

const readIds = (text: string, before: string[] | undefined): string[] => [...(before ?? []), readId(text)]

function readLimit(text: string): number {
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100_000) {
    throw new InvalidArgumentError('It is a whole number from 1 to 100000.')
  }
  return limit
}
