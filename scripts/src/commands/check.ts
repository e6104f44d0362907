import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch, type Reply } from '@rates/core/batch'
import { type DailyRate } from '@rates/core/daily-rates'
import { formatDay } from '@rates/core/rates-query'
import { produceBatch } from '@rates/service/produce-batch'
import { Command, InvalidArgumentError } from 'commander'
import { postApi, readApi } from '../api.ts'
import { findApi, urlOption } from '../api-url.ts'
import { Asker } from '../asker.ts'
import { BatchSession } from '../batch-session.ts'
import { explainKafka, kafkaSettings, requireBrokers } from '../brokers.ts'
import { CommandFailure, EXIT, exitWith, usageExits } from '../exit.ts'
import { findRunning } from '../running.ts'
import { shellWord } from '../text.ts'
import { parseDuration } from '../times.ts'

/** Places that nobody else has: codes that begin with ZZ belong to no country. */
const REGION = 'rates_check'
const FROM = 'ZZRCA'
const TO = 'ZZRCB'
const PRICES = [100, 250, 400]
const AVERAGE = 250

interface System {
  brokers: string[]
  prefix: string
  url: string
  timeoutSeconds: number
}

interface Options {
  timeout: number
  /** Whether the platform answers queries by message. */
  queries: boolean
  url?: string
}

export function checkCommand(): Command {
  const command = new Command('check')
    .description('send a batch of three prices, read it back, revert it: does all of it work?')
    .option('--timeout <duration>', 'wait so long for the reply, and for the answer to a query', readTimeout, 60)
    .option('--no-queries', 'ask nothing by message: the platform runs with QUERIES=false')
    .addOption(urlOption())
    .addHelpText(
      'after',
      `
The prices are from one port to another that belong to this check alone (${FROM}, ${TO} in the region ${REGION}); the first
check adds them to the catalogue, where they stay. The batch stays in the ledger, as reverted.

Environment: KAFKA_BROKERS, RATES_URL (else what "rates start" runs here), and the services' other settings of Kafka.

Exit codes: 0 all of it works; 1 something is not as it has to be; 3 Kafka or the API cannot be reached, or no reply came.`,
    )
    .action((options: Options) => exitWith(() => check(options)))
  return usageExits(command)
}

function readTimeout(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds > 3600)
    throw new InvalidArgumentError('It is a duration as 90s or 10m, 1h at most.')
  return seconds
}

async function check({ timeout: timeoutSeconds, queries, url: given }: Options): Promise<number> {
  // What is missing is told in one go.
  const { brokers, prefix } = await (given === undefined ? findRunning('brokers', 'url') : findRunning('brokers'))
  const url = await findApi(given)
  const system: System = { brokers: brokers.split(','), prefix, url, timeoutSeconds }
  const day = formatDay(randomInt(365, 10_000)) // so that checks at the same time do not meet
  await addPlaces(url)
  tell('catalogue', `the API at ${url} has ${FROM} and ${TO}`)
  const { id, seconds } = await sendBatch(system, day)
  tell('batch', `${id}: 3 rows succeeded, replied after ${seconds.toFixed(2)} s`)
  try {
    await expectRate(url, day, { day, price: AVERAGE, count: PRICES.length })
    tell('rates', `${day}: the average of 3 prices is ${AVERAGE}`)
    if (queries) tell('query', `the same by a message, answered after ${(await askRate(system, day)).toFixed(2)} s`)
  } finally {
    await postApi<Batch>(url, `/batches/${encodeURIComponent(id)}/revert`)
  }
  await expectRate(url, day, { day, price: null, count: null })
  tell('revert', `nothing of ${shellWord(id)} is visible any more`)
  return EXIT.done
}

const tell = (what: string, found: string): void => console.log(`${what.padEnd(10)} ${found}`)

/** What is there already does not change by it. */
async function addPlaces(url: string): Promise<void> {
  await postCsv(url, '/regions', `slug,name,parent_slug\n${REGION},Check of the platform,\n`)
  const ports = [FROM, TO].map((code) => `${code},Check of the platform,${REGION}\n`)
  await postCsv(url, '/ports', `code,name,parent_slug\n${ports.join('')}`)
}

async function postCsv(url: string, path: string, text: string): Promise<void> {
  const answer = await postApi(url, path, { content: new TextEncoder().encode(text), type: 'text/csv' })
  if (answer === undefined) throw new CommandFailure(EXIT.unreachable, `What answers at ${url} has no ${path}.`)
}

/** By Kafka. @returns once its reply says that it succeeded */
async function sendBatch(system: System, day: string): Promise<{ id: string; seconds: number }> {
  const id = `check-${randomBytes(8).toString('hex')}`
  const batch = { batchId: id, source: 'rates-check' }
  const rows = PRICES.map((price) => `${FROM},${TO},${day},${price}\n`).join('')
  await requireBrokers(system.brokers)
  const session = new BatchSession(kafkaSettings(system.brokers, 'rates-check'), system.prefix, batch, true)
  try {
    await session.ready
    const began = performance.now()
    await produceBatch(session.producer, session.topics, one(Buffer.from(rows)), 'csv', batch)
    const { reply, at } = await replyWithin(session, id, system.timeoutSeconds)
    expectReply(reply, id)
    return { id, seconds: (at - began) / 1000 }
  } catch (error) {
    throw explainKafka(error, system.brokers) ?? error
  } finally {
    await session.close()
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function replyWithin(session: BatchSession, id: string, seconds: number): Promise<{ reply: Reply; at: number }> {
  const over = new AbortController()
  const late = sleep(seconds * 1000, undefined, { signal: over.signal }).then(() => {
    throw new CommandFailure(EXIT.unreachable, `No reply to ${id} came within ${seconds} s: does an ingest worker run?`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([session.inbox.outcome, late])
  } finally {
    over.abort()
  }
}

function expectReply({ state, rows, error }: Reply, id: string): void {
  if (state === 'succeeded' && rows.accepted === PRICES.length && rows.rejected === 0) return
  const said = error?.message ?? `${rows.accepted} rows accepted, ${rows.rejected} rejected`
  throw new CommandFailure(
    EXIT.refused,
    `The reply to ${id} is not that it succeeded with 3 rows, but ${state}: ${said}`,
  )
}

const queryOf = (day: string) => ({ date_from: day, date_to: day, orig_code: FROM, dest_code: TO })

async function expectRate(url: string, day: string, expected: DailyRate): Promise<void> {
  const path = `/rates?${new URLSearchParams(queryOf(day)).toString()}`
  judge(`GET ${path}`, await readApi(url, path), expected)
}

/** @returns the seconds until the answer was there */
async function askRate({ brokers, prefix, timeoutSeconds }: System, day: string): Promise<number> {
  const asker = new Asker(kafkaSettings(brokers, 'rates-check'), prefix, undefined, timeoutSeconds)
  try {
    await asker.ready
    const began = performance.now()
    const answer = await asker.ask(Buffer.from(JSON.stringify(queryOf(day))))
    if (answer === undefined) {
      const said = `No answer to a query came within ${timeoutSeconds} s: does an API run that answers them?`
      throw new CommandFailure(EXIT.unreachable, said)
    }
    const seconds = (performance.now() - began) / 1000
    const text = Buffer.from(answer.value).toString()
    if (answer.status !== 200)
      throw new CommandFailure(EXIT.refused, `A query by message gets ${answer.status}: ${text}`)
    judge('A query by message', JSON.parse(text), { day, price: AVERAGE, count: PRICES.length })
    return seconds
  } catch (error) {
    throw explainKafka(error, brokers) ?? error
  } finally {
    await asker.close()
  }
}

function judge(what: string, answer: unknown, expected: DailyRate): void {
  const { rates = [] } = (answer ?? {}) as { rates?: DailyRate[] }
  const [found] = rates
  if (
    rates.length === 1 &&
    found?.price === expected.price &&
    found.day === expected.day &&
    found.count === expected.count
  )
    return
  const said = `${JSON.stringify(answer)}, not ${JSON.stringify({ rates: [expected] })}`
  throw new CommandFailure(EXIT.refused, `${what} answers ${said}`)
}
