import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { findJava } from '@rates/local/java'
import { fetchKafka, requireKafka } from '@rates/local/kafka-jars'
import { Command } from 'commander'
import { findRunning } from '../running.ts'

/** The names of Kafka's own shell scripts, without `kafka-` and `.sh`. */
const tools: Record<string, string> = {
  'console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  topics: 'org.apache.kafka.tools.TopicCommand',
  configs: 'kafka.admin.ConfigCommand',
  'consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  groups: 'org.apache.kafka.tools.GroupsCommand',
  'get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
}

export function kafkaCommand(): Command {
  return new Command('kafka')
    .description('run a tool of Kafka, such as console-producer, against the broker')
    .argument('<tool>', Object.keys(tools).join(', '))
    .argument('[args...]', "the tool's own arguments; --bootstrap-server is added")
    .passThroughOptions()
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Examples (with npm run, "--" stands before the arguments):
  rates kafka topics --list
  rates kafka console-consumer --topic rates.replies --from-beginning
  echo '{"prices":[{"orig_code":"CNSHA","dest_code":"NLRTM","day":"2026-01-31","price":1200}]}' |
    rates kafka console-producer --topic rates.batches`,
    )
    .action(run)
}

async function run(tool: string, args: string[]) {
  const type = tools[tool]
  if (type === undefined) {
    console.error(`There is no tool ${tool}. There are: ${Object.keys(tools).join(', ')}`)
    process.exitCode = 2
    return
  }
  await requireKafka()
  const { brokers } = await findRunning('brokers')
  const java = (await findJava())!
  const classpath = join(await fetchKafka((note) => console.error(note)), '*')
  process.exitCode = await runTool(java, [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
    '-cp',
    classpath,
    type,
    ...withServer(tool, args, brokers),
  ])
}

/** Adds the broker's address, under the name that the tool has for it, unless the person has named one. */
export function withServer(tool: string, args: readonly string[], brokers: string): string[] {
  if (args.some((arg) => arg === '--help' || arg === '--bootstrap-server' || arg.startsWith('--bootstrap-server='))) {
    return [...args]
  }
  if (tool === 'producer-perf-test') return [...args, '--producer-props', `bootstrap.servers=${brokers}`]
  return [...args, '--bootstrap-server', brokers]
}

function runTool(java: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(java, args, { stdio: 'inherit' })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}
