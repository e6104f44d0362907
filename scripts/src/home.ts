import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The clone: seen from scripts/src and from scripts/dist alike. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** What belongs to this clone's running system: data, logs, state. Ignored by git. */
export const home = join(root, '.rates')

export const folders = {
  postgres: join(home, 'postgres'),
  kafka: join(home, 'kafka'),
  prometheus: join(home, 'prometheus'),
  objectStore: join(home, 'object-store'),
  /** Who has these may read and write it. */
  objectStoreKeys: join(home, 'object-store-keys'),
  logs: join(home, 'logs'),
  state: join(home, 'state.json'),
  lock: join(home, 'lock'),
}

/** On the command line of each service that `rates start` runs, so that a later start knows which are this clone's. */
export const serviceMark = `--home=${home}`

/** A path as it is told to a person who is in the clone. */
export const short = (path: string): string => (path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path)
