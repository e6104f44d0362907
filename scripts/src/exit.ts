import { ConfigError } from '@rates/service/config'
import { type Command } from 'commander'
import { NothingRuns } from './running.ts'

/** What a script can tell from a command's exit code. */
export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  unreachable: 3,
  cancelled: 4,
  unproven: 5,
  interrupted: 130,
} as const

/** Ends a command with a message for the person and a code for the script. */
export class CommandFailure extends Error {
  readonly code: number
  constructor(code: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'CommandFailure'
    this.code = code
  }
}

/** Something is wrong with what the person has written. */
export const usage = (message: string): CommandFailure => new CommandFailure(EXIT.usage, message)

/** A wrong option ends the process with the code for wrong usage, `--help` with 0. */
export function usageExits(command: Command): Command {
  return command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT.done : EXIT.usage))
}

/** Runs a command's work and tells what was foreseen in its own words; anything else is a bug and is thrown. */
export async function exitWith(work: () => Promise<number>): Promise<void> {
  // Whoever read our output may have had enough of it (`| head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
  try {
    process.exitCode = await work()
  } catch (error) {
    if (error instanceof CommandFailure) process.exitCode = error.code
    else if (error instanceof NothingRuns) process.exitCode = EXIT.unreachable
    else if (error instanceof ConfigError) process.exitCode = EXIT.usage
    else throw error
    console.error(error.message)
  }
}
