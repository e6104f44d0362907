import { BadObjectClaim, readObjectClaim, type ObjectClaim } from '@rates/core/object-claim'
import { objectBatchId } from '@rates/service/object-batch-id'
import { Command, Option } from 'commander'
import { findApi, urlOption } from '../api-url.ts'
import { addBatchOptions, addWaitOptions, readBatch, readWaiting, type BatchOptions } from '../batch-options.ts'
import { exitWith, usage, usageExits } from '../exit.ts'
import { load, type LoadRequest } from '../load.ts'
import { Progress } from '../progress.ts'
import { findRunning, orNothing } from '../running.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends BatchOptions {
  etag?: string
  versionId?: string
  sha256?: string
  contentType?: string
  contentEncoding?: string
}

/** Those that say something of one object or of one batch. */
const OF_ONE = {
  batchId: '--batch-id',
  replaces: '--replaces',
  etag: '--etag',
  versionId: '--version-id',
  sha256: '--sha256',
} as const

const HELP = `
The platform's workers read the objects themselves: this machine needs no access to them, and the bucket has to be one
that they allow (OBJECT_BUCKETS). An object is CSV or NDJSON as for "rates produce", of any size; gzip and zstd are
unpacked. Each becomes a batch: all of it becomes visible at once, or nothing does. Its state is a tag of the object,
rates-state, beside rates-batch.

An object that changes while it is read fails its batch. With --etag or --version-id it is pinned to what you mean; with
--etag and without --batch-id its batch has an id of its own, so that to load the same once more is harmless.

Several objects are loaded side by side.

Exit codes (of several objects, the highest):
  0    the batch succeeded (or was asked for, with --no-wait)
  1    it failed, or the object was refused
  2    wrong usage
  3    Kafka cannot be reached, or there was no outcome in time
  4    it was cancelled: Ctrl-C does that
  130  Ctrl-C was pressed twice: the batch was left as it was

Examples:
  rates load s3://prices/acme/2026-01-31.csv.gz --source acme --deadline +1h
  rates load s3://prices/a.csv s3://prices/b.csv --no-wait
  rates load s3://prices/a.csv --etag 8b04d5e3775d298e78455efc5ca404d5 --json | jq .rows`

export function loadCommand(): Command {
  const command = new Command('load')
    .description('load files of an object store, each as a batch')
    .argument('<s3://BUCKET/KEY...>', 'the objects, their keys as they are')
  addBatchOptions(command, "a new one, which is shown first; with --etag the object's own")
    .option('--etag <etag>', 'load it only if it is still this one')
    .option('--version-id <id>', 'this version of it, where the bucket keeps versions')
    .option('--sha256 <hex>', "of the object's bytes: checked at the end")
    .addOption(
      new Option('--content-type <type>', "of the rows (default: the object's own, else by its key's ending)").choices([
        'text/csv',
        'application/x-ndjson',
      ]),
    )
    .addOption(
      new Option('--content-encoding <how>', 'how it is packed (default: likewise)').choices([
        'identity',
        'gzip',
        'zstd',
      ]),
    )
    .addOption(urlOption('of the API, which shows how far it is (default: RATES_URL, else what runs here)'))
  addWaitOptions(command, 'wait so long for the outcome', 'print the reply as JSON, of several a line each')
    .addHelpText('after', HELP)
    .action((objects: string[], options: Options) => exitWith(() => run(objects, options)))
  return usageExits(command)
}

async function run(objects: readonly string[], options: Options): Promise<number> {
  const requests = readRequests(objects, options, new Date())
  const [{ brokers, prefix }, url] = await Promise.all([findRunning('brokers'), orNothing(findApi(options.url))])
  const progress = new Progress()
  const stop = stopRequest(() => progress.clear())
  return load(requests, { brokers: brokers.split(','), prefix, url }, progress, stop)
}

/** @throws CommandFailure for objects and options that the wire does not take */
export function readRequests(objects: readonly string[], options: Options, now: Date): LoadRequest[] {
  const forOne = Object.entries(OF_ONE).find(([name]) => options[name as keyof typeof OF_ONE] !== undefined)
  if (forOne && objects.length > 1) throw usage(`${forOne[1]} goes with one object`)
  return objects.map((object) => {
    const claim = readObject(object, options)
    const { bucket, key, etag } = claim
    const own = etag === undefined ? undefined : objectBatchId({ bucket, key, etag })
    const batch = readBatch(options, now, options.batchId ?? own)
    return { claim, batch, ...readWaiting(options, batch) }
  })
}

function readObject(text: string, options: Options): ObjectClaim {
  const [, bucket, key] = /^s3:\/\/([^/]*)\/(.+)$/s.exec(text) ?? []
  if (bucket === undefined) throw usage(`${JSON.stringify(text)} is not of the form s3://BUCKET/KEY`)
  const { etag, versionId, sha256, contentType, contentEncoding } = options
  const claim = { bucket, key, etag, versionId, sha256, contentType, contentEncoding }
  try {
    return readObjectClaim(Buffer.from(JSON.stringify(claim)))
  } catch (error) {
    if (!(error instanceof BadObjectClaim)) throw error
    throw usage(`${JSON.stringify(text)}: ${error.message}`)
  }
}
