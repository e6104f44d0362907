import { createInterface } from 'node:readline/promises'
import { CommandFailure, EXIT } from './exit.ts'

/**
 * Asks the person at the terminal; anything but yes is no. `yes` answers beforehand, which a script has to.
 * @throws CommandFailure where nobody can be asked, or at Ctrl-C
 */
export async function confirm(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true
  if (!process.stdin.isTTY) {
    throw new CommandFailure(EXIT.usage, 'Nobody can be asked here, without a terminal: --yes says that it is meant.')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const interrupted = new Promise<never>((_, reject) =>
      terminal.once('SIGINT', () =>
        reject(new CommandFailure(EXIT.interrupted, '\nInterrupted; nothing was changed.')),
      ),
    )
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), interrupted])
    return /^\s*y(es)?\s*$/i.test(answer)
  } finally {
    terminal.close()
  }
}
