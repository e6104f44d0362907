import { fileURLToPath } from 'node:url'
import { cached, cacheFolder, exists } from './cache.ts'
import { findJava, hasMaven, Missing, runMaven } from './java.ts'

export const kafkaVersion = '4.1.1'
const folder = `kafka-${kafkaVersion}`
const pom = fileURLToPath(new URL('../kafka-pom.xml', import.meta.url))

/** The broker's jars, from Maven Central through `mvn` at the first use. */
export async function fetchKafka(onProgress: (note: string) => void = () => undefined): Promise<string> {
  return cached(folder, async (draft) => {
    let files = 0
    onProgress(`downloading Kafka ${kafkaVersion} (54 MB, once)`)
    await runMaven(['-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`], (line) => {
      const jar = /Downloaded from .*\/([^/ ]+\.jar)/.exec(line)?.[1]
      if (jar !== undefined) onProgress(`downloading Kafka ${kafkaVersion} (54 MB, once): ${++files} files, ${jar}`)
    })
  })
}

/** What a local broker needs and this machine lacks, for one message about all of it. Empty: it can be started. */
export async function missingForKafka(): Promise<string[]> {
  const [java, jars, maven] = await Promise.all([findJava(), exists(cacheFolder(folder)), hasMaven()])
  const missing: string[] = []
  if (java === undefined) missing.push('Java 17 or newer (it runs the Kafka broker)')
  if (!jars && !maven) missing.push('Maven (it downloads the Kafka broker)')
  return missing
}

/** Throws one error that names all that is missing and says what to do instead. */
export async function requireKafka(): Promise<void> {
  const missing = await missingForKafka()
  if (missing.length === 0) return
  throw new Missing(
    [
      `This machine lacks ${missing.join(' and ')}.`,
      'Install them (Debian, Ubuntu: apt install openjdk-17-jdk-headless maven; macOS: brew install openjdk@17 maven),',
      'or name a broker that runs already: KAFKA_BROKERS=host:9092.',
    ].join('\n'),
  )
}
