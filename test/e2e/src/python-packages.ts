import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from '@rates/local/cache'
import { Missing } from '@rates/local/java'

const run = promisify(execFile)

/**
 * A folder with the packages that a requirements file names, for PYTHONPATH: installed by pip at the first use, kept for
 * this version of Python and these requirements. @throws Missing where there is no Python 3, no venv, or no package index
 */
export async function pythonPackages(requirements: string): Promise<string> {
  const version = await step('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], 'Python 3')
  const pins = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
  return cached(`python-${version.trim()}-${pins.slice(0, 12)}`, async (folder) => {
    // Not the system's pip, which may not be there or refuse to be used. Only the packages can be moved: the venv goes.
    const venv = join(folder, 'venv')
    await step('python3', ['-m', 'venv', venv], 'venv (Debian, Ubuntu: apt install python3-venv)')
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:']
    const install = [...pip, '--target', folder, '-r', requirements]
    await step(join(venv, 'bin', 'python'), install, `what ${requirements} names, or an index that has it`)
    await rm(venv, { recursive: true })
  })
}

async function step(program: string, args: string[], what: string): Promise<string> {
  try {
    return (await run(program, args)).stdout
  } catch (error) {
    const { stderr, stdout, message } = error as Error & { stderr?: string; stdout?: string }
    const said = (stderr || stdout || message).trim().split('\n').slice(-8).join('\n')
    throw new Missing(`This test needs ${what}. ${program} said:\n${said}`)
  }
}
