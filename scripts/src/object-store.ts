import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Missing } from '@rates/local/java'
import { type RunningObjectStore, startObjectStore } from '@rates/local/object-store'
import { requireVersitygw } from '@rates/local/versitygw'
import { topicNames } from '@rates/service/topics'
import { kafkaSettings } from './brokers.ts'
import { folders, short } from './home.ts'
import { type ObjectStoreFacts, type State } from './running.ts'

/** What is put into it becomes batches. */
const inbox = 'rates-inbox'
const accessKey = 'rates'

/** Where it keeps its data, and the keys that let others in. */
export interface InboxFolders {
  objectStore: string
  objectStoreKeys: string
  logs: string
}

/** @throws Missing where no store can be started, or where it cannot tell Kafka of its files */
export async function requireObjectStore(program?: string): Promise<void> {
  const given = process.env['KAFKA_BROKERS']
  const security = given ? kafkaSettings(given.split(','), 'rates-start').security : undefined
  if (security?.tls || security?.login) {
    throw new Missing(
      [
        'The object store of --object-store knows neither TLS nor a login, which the Kafka of KAFKA_BROKERS asks for.',
        'Without --object-store, name a store that runs already (S3_ENDPOINT, OBJECT_BUCKETS), which tells that Kafka.',
      ].join('\n'),
    )
  }
  await requireVersitygw(program)
}

/** Starts the store with its bucket. The running system's topic hears of every file that is put there. */
export async function startInbox(
  { brokers = '', prefix }: Pick<State, 'brokers' | 'prefix'>,
  options: { port: number; program?: string | undefined; onProgress?: (note: string) => void },
  places: InboxFolders = folders,
): Promise<{ server: RunningObjectStore; facts: ObjectStoreFacts }> {
  const keys = await ownKeys(places.objectStoreKeys)
  const server = await startObjectStore({
    ...options,
    dir: places.objectStore,
    log: join(places.logs, 'object-store.log'),
    accessKey,
    secretKey: keys.secret,
    buckets: [inbox],
    events: { broker: brokers.split(',')[0]!, topic: topicNames(prefix).objects },
  })
  const { url, region, accessKeyId } = server
  const { idFile, secretFile } = keys
  return { server, facts: { url, region, bucket: inbox, accessKeyId, accessKeyIdFile: idFile, secretFile } }
}

/** They stay the same from start to start, so that what a person has set up with them goes on. */
async function ownKeys(folder: string): Promise<{ secret: string; idFile: string; secretFile: string }> {
  const idFile = join(folder, 'id')
  const secretFile = join(folder, 'secret')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(idFile, accessKey, { mode: 0o600 })
  const kept = await readFile(secretFile, 'utf8').catch(() => '')
  const secret = kept || randomBytes(20).toString('hex')
  await writeFile(secretFile, secret, { mode: 0o600 })
  return { secret, idFile, secretFile }
}

/** What the services need to be set to, so that files of the bucket become batches. */
export function objectStoreEnv(facts: ObjectStoreFacts | undefined): Record<string, string> {
  if (facts === undefined) return {}
  return {
    OBJECT_BUCKETS: facts.bucket,
    S3_ENDPOINT: facts.url,
    S3_REGION: facts.region,
    S3_ACCESS_KEY_ID_FILE: facts.accessKeyIdFile,
    S3_SECRET_ACCESS_KEY_FILE: facts.secretFile,
  }
}

/** Where files go, and how one is put there, as rows of the summary. */
export function objectStoreRows(facts: ObjectStoreFacts | undefined): (readonly [string, string])[] {
  if (facts === undefined) return []
  const { url, bucket, region, accessKeyId, secretFile } = facts
  const login = `--aws-sigv4 aws:amz:${region}:s3 --user "${accessKeyId}:$(cat ${short(secretFile)})"`
  // Many a curl does not say by itself that it signs the file's name and not its content.
  const signs = "-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'"
  return [
    ['inbox', `${url}/${bucket}: each file put here becomes a batch`],
    ['  put', `curl ${login} ${signs} -T prices.csv ${url}/${bucket}/`],
  ]
}
