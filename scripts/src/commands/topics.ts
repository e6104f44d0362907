import { type Admin } from '@rates/service/kafka-admin'
import { ensureTopics } from '@rates/service/topics'
import { Command, InvalidArgumentError } from 'commander'
import { explainKafka, kafkaSettings, requireBrokers, withAdmin } from '../brokers.ts'
import { EXIT, exitWith, usageExits } from '../exit.ts'
import { findRunning } from '../running.ts'
import { plural } from '../text.ts'
import { topicDifferences, type Topic } from '../topic-differences.ts'

interface Options {
  partitions?: number
  replication?: number
}

export function topicsCommand(): Command {
  const command = new Command('topics')
    .description('create the topics')
    .option('--partitions <n>', 'of each lane (default: 12)', atLeastOne)
    .option('--replication <n>', "copies of each partition (default: the broker's)", atLeastOne)
    .addHelpText(
      'after',
      `
Topics that are there stay as they are; where they differ from what would be created, that is told.

Exit codes: 0 the topics are there; 2 wrong usage; 3 Kafka cannot be reached or refuses.`,
    )
    .action((options: Options) => exitWith(() => topics(options)))
  return usageExits(command)
}

async function topics(options: Options): Promise<number> {
  const found = await findRunning('brokers')
  const brokers = found.brokers.split(',')
  await requireBrokers(brokers)
  const kafka = kafkaSettings(brokers, 'rates-topics')
  try {
    await withAdmin(kafka, (admin) => ensure(admin, found.prefix, options))
  } catch (error) {
    throw explainKafka(error, brokers) ?? error
  }
  return EXIT.done
}

async function ensure(admin: Admin, prefix: string, options: Options): Promise<void> {
  const plan = await planOf(prefix, options)
  const { created } = await ensureTopics(admin, prefix, options)
  const width = Math.max(...plan.map(({ name }) => name.length))
  for (const wanted of plan) {
    const isNew = created.includes(wanted.name)
    const actual = { name: wanted.name, ...(await admin.describeTopic(wanted.name)) }
    const size = `${plural(actual.partitions, 'partition')}, ${plural(actual.replication, 'replica')}`
    console.log(`${wanted.name.padEnd(width)}  ${isNew ? 'created' : 'there already'}, ${size}`)
    if (!isNew) for (const difference of topicDifferences(wanted, actual)) console.warn(`  warning: ${difference}`)
  }
}

/** What ensureTopics() would create where there is nothing. */
async function planOf(prefix: string, options: Options): Promise<Topic[]> {
  const plan: Topic[] = []
  const recorder: Pick<Admin, 'createTopic'> = {
    createTopic(name, partitions, replication, config) {
      plan.push({ name, partitions, replication, config })
      return Promise.resolve(false)
    },
  }
  await ensureTopics(recorder as Admin, prefix, options)
  return plan
}

function atLeastOne(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('It is a whole number from 1.')
  return number
}
