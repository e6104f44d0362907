import { kafkaSettings, requireBrokers, withAdmin } from '../brokers.ts'
import { chooseRunning, NothingRuns, type Running, type State } from '../running.ts'
import { type Finding } from './finding.ts'
import { judgeKafka, KAFKA } from './kafka.ts'
import { askKafka } from './kafka-facts.ts'
import { askMachine, judgeMachine, judgeSettings } from './machine.ts'
import { judgePostgres, POSTGRES } from './postgres.ts'
import { askPostgres } from './postgres-facts.ts'
import { askApi, askService, judgeServices } from './services.ts'

const AREA_SECONDS = 30

export interface Examined {
  /** What `npm start` has written, if it runs. */
  state: State | undefined
  env: NodeJS.ProcessEnv
  /** Where the probes of services are that are not `npm start`'s. */
  services: readonly string[]
}

/** All findings, in the order in which one depends on the other. What cannot be reached is a fault; it never throws. */
export async function examine({ state, env, services }: Examined): Promise<Finding[]> {
  const place = <Part extends keyof Running>(part: Part): (Pick<Running, Part> & { prefix: string }) | undefined => {
    try {
      return chooseRunning(state, env, [part])
    } catch (error) {
      if (error instanceof NothingRuns) return undefined
      throw error
    }
  }
  const database = place('databaseUrl')
  const kafka = place('brokers')
  const api = place('url')
  const effective = {
    ...(env['DATABASE_URL'] && loginOf(env, 'DATABASE_')),
    ...(env['KAFKA_BROKERS'] && loginOf(env, 'KAFKA_')),
    DATABASE_URL: database?.databaseUrl,
    KAFKA_BROKERS: kafka?.brokers,
    KAFKA_PREFIX: kafka?.prefix,
    RATES_URL: api?.url,
    LEDGER_RETENTION_DAYS: env['LEDGER_RETENTION_DAYS'],
  }
  const settings = judgeSettings(effective)
  const days = Number(effective.LEDGER_RETENTION_DAYS) || undefined
  // `npm start` needs Java for a broker of its own only.
  const kafkaIsLocal = !env['KAFKA_BROKERS']
  const [machine, ofPostgres, ofKafka, ofServices] = await Promise.all([
    area('this machine', 'looked at', async () => judgeMachine(await askMachine(kafkaIsLocal))),
    database === undefined
      ? []
      : area(POSTGRES, 'reachable', async () => judgePostgres(await askPostgres(database.databaseUrl))),
    kafka === undefined ? [] : area(KAFKA, 'reachable', () => examineKafka(kafka.brokers, kafka.prefix, days)),
    area('services', 'looked at', async () => {
      const ours = env['RATES_URL'] ? [] : (state?.processes ?? [])
      const probes = ours.flatMap(({ name, managementUrl }) => (managementUrl ? [[name, managementUrl] as const] : []))
      const others = services.map((url) => [url, url.replace(/\/+$/, '')] as const)
      const asked = [...probes, ...others].map(([name, url]) => askService(name, url))
      return judgeServices(api && (await askApi(api.url)), await Promise.all(asked))
    }),
  ])
  return [...machine, ...settings, ...ofPostgres, ...ofKafka, ...ofServices]
}

/** What the environment says of a server beside its address. */
const loginOf = (env: NodeJS.ProcessEnv, prefix: string): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith(prefix)))

async function examineKafka(list: string, prefix: string, ledgerDays: number | undefined): Promise<Finding[]> {
  const brokers = list.split(',')
  await requireBrokers(brokers)
  const kafka = kafkaSettings(brokers, 'rates-doctor')
  return withAdmin(kafka, async (admin) => judgeKafka(await askKafka(admin, prefix), prefix, ledgerDays))
}

/** Clients of servers that are half there try for minutes: that is an answer, too. */
async function area(name: string, check: string, work: () => Promise<Finding[]>): Promise<Finding[]> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${AREA_SECONDS} s`)), AREA_SECONDS * 1000)
  })
  try {
    return await Promise.race([work(), limit])
  } catch (error) {
    const inner: unknown = error instanceof AggregateError ? error.errors[0] : error
    const found = (inner as Error).message
    return [{ area: name, check, level: 'fault', found, remedy: 'Is it running, and do the settings name it?' }]
  } finally {
    clearTimeout(timer)
  }
}
