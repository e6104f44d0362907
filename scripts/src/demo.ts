import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { importDump, type ImportProgress } from '@rates/db/import-dump'
import { createLogger } from '@rates/service/log'
import { type System } from './bring-up.ts'
import { kafkaSettings } from './brokers.ts'
import { hasPorts } from './database.ts'
import { root } from './home.ts'

/** Loads the demo data, unless an earlier start has done so. */
export async function demo(system: System) {
  const { status, state, signal } = system
  const { databaseUrl = '', brokers = '', prefix } = state
  const folder = join(root, 'db', 'demo')
  const files = (await readdir(folder).catch(() => [])).filter((file) => /\.sql(\.gz)?$/.test(file)).sort()
  // In a database that we did not make, demo data have no place beside somebody's own.
  if (files.length === 0 || (process.env['DATABASE_URL'] && (await hasPorts(databaseUrl)))) return
  const log = createLogger('rates-start', 'silent')
  const kafka = { ...kafkaSettings(brokers.split(','), 'rates-start'), prefix }
  for (const file of files) {
    signal.throwIfAborted()
    await status.step(
      'demo data',
      (note) =>
        importDump({
          file: join(folder, file),
          databaseUrl,
          kafka,
          once: true,
          log,
          signal,
          onProgress: (progress) => note(describeProgress(progress), true),
        }),
      ({ rows, alreadyImported, batchId }) =>
        alreadyImported ? `${rows} prices, imported before` : `${rows} prices as batch ${batchId}`,
    )
  }
}

function describeProgress(progress: ImportProgress): string {
  if (progress.step === 'queue') return 'another import runs'
  if (progress.step === 'check') return 'checking'
  return progress.step === 'send' ? 'sending' : 'loading'
}
