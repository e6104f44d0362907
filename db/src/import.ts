import { commonSettings, databaseSettings, kafkaSettings, loadConfig, objectStoreSettings } from '@rates/service/config'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { createLogger } from '@rates/service/log'
import { s3Settings } from '@rates/service/open-object-store'
import { z } from 'zod'
import { fileSource, type DumpSource } from './dump-file.ts'
import { importDump, type ImportProgress } from './import-dump.ts'
import { patiently, runJob } from './job.ts'

// The import Job: `import.js FILE` or `import.js s3://bucket/key`. To repeat it is harmless: the same dump is the same
// batch, and a Job that was broken off goes on.

const schema = z.object({
  ...databaseSettings,
  ...kafkaSettings,
  ...objectStoreSettings,
  LOG_LEVEL: commonSettings.LOG_LEVEL,
})

type Settings = Readonly<z.output<typeof schema>>

/** Between two lines on the same step. */
const TELL_SECONDS = 10

runJob('import', async () => {
  const [address] = process.argv.slice(2)
  if (address === undefined) throw new Error('say what to import: a file, or s3://bucket/key')
  const settings = loadConfig(schema)
  const { KAFKA_BROKERS: brokers, KAFKA_PREFIX: prefix } = settings
  const source = await openSource(address, settings)
  const outcome = await patiently(() =>
    importDump({
      file: source,
      databaseUrl: settings.DATABASE_URL,
      kafka: { brokers, prefix, security: kafkaSecurity(settings) },
      log: createLogger('import', settings.LOG_LEVEL),
      once: true,
      onProgress: tell(),
    }),
  )
  const { rows, batchId, alreadyImported, seconds } = outcome
  const prices = batchId === null ? 'no prices' : `${rows} prices as batch ${batchId}`
  console.log(alreadyImported ? `imported before: ${prices}` : `imported ${prices} in ${seconds.toFixed(1)} s`)
})

async function openSource(address: string, settings: Settings): Promise<DumpSource> {
  if (!address.startsWith('s3://')) return fileSource(address)
  const { s3Source } = await import('./dump-s3.ts') // 40 MB that a file does without
  return s3Source(address, s3Settings(settings))
}

/** A line for each step, and on a long one another now and then. */
function tell(): (progress: ImportProgress) => void {
  let current = ''
  let told = 0
  return (progress) => {
    if (progress.step === current && performance.now() - told < TELL_SECONDS * 1000) return
    current = progress.step
    told = performance.now()
    console.log(inWords(progress))
  }
}

function inWords(progress: ImportProgress): string {
  if (progress.step === 'queue') return 'another import is running: waiting for its end'
  if (progress.step === 'check') return `checking: ${progress.bytes} of ${progress.totalBytes} bytes`
  const what = progress.step === 'send' ? 'sending' : 'loading'
  const fault = progress.step === 'wait' && progress.error ? `; ${progress.error.message}` : ''
  return `${what}: ${progress.rows} of ${progress.totalRows} prices${fault}`
}
