import { rm } from 'node:fs/promises'
import { forgetKafka } from '@rates/local/kafka'
import { forgetObjectStore } from '@rates/local/object-store'
import { forgetPostgres } from '@rates/local/postgres'
import { endOrphans } from '@rates/local/processes'
import { forgetPrometheus } from '@rates/local/prometheus'
import { Command } from 'commander'
import { folders, serviceMark } from '../home.ts'
import { isSupervisor, takeLock } from '../running.ts'

export function resetCommand(): Command {
  return new Command('reset').description('forget the data of what `rates start` runs').action(reset)
}

async function reset() {
  const owner = await takeLock(folders.lock, isSupervisor)
  if (owner !== undefined) {
    console.error(`It is running (process ${owner}): stop it first (Ctrl-C where npm start was called), then reset.`)
    process.exitCode = 1
    return
  }
  try {
    await endOrphans([serviceMark])
    await Promise.all([
      forgetKafka(folders.kafka),
      forgetPostgres(folders.postgres),
      forgetPrometheus(folders.prometheus),
      forgetObjectStore(folders.objectStore),
    ])
    const { logs, state, objectStoreKeys, postgres, kafka } = folders
    for (const path of [logs, state, objectStoreKeys, `${postgres}.log`, `${kafka}.log`]) {
      await rm(path, { recursive: true, force: true })
    }
  } finally {
    await rm(folders.lock, { force: true })
  }
  console.log('The data and logs are forgotten; the next npm start begins anew.')
}
