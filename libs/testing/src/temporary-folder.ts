import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder. Others may enter it: as root, PostgreSQL runs as another user, who could not enter mkdtemp's. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rates-'))
  await chmod(folder, 0o755)
  return folder
}
