import { InvalidArgumentError, Option } from 'commander'
import { CommandFailure, EXIT } from './exit.ts'
import { findRunning, NothingRuns } from './running.ts'

/** `--url`, of every command that talks to the API. */
export const urlOption = (
  what = 'of the API, with its path if it has one (default: RATES_URL, else what runs here)',
): Option =>
  new Option('--url <url>', what).argParser((text: string) => {
    const fault = faultOf(text)
    if (fault !== undefined) throw new InvalidArgumentError(fault)
    return withoutSlash(text)
  })

/** The API that a command talks to: as `--url` says, else RATES_URL, else what runs here. @throws CommandFailure */
export async function findApi(given: string | undefined): Promise<string> {
  if (given !== undefined) return given
  const { url } = await findRunning('url').catch((error: unknown) => {
    if (!(error instanceof NothingRuns)) throw error
    throw new NothingRuns(error.message.replace('set RATES_URL', 'give --url, or set RATES_URL,'))
  })
  const fault = faultOf(url)
  if (fault !== undefined) throw new CommandFailure(EXIT.usage, `RATES_URL: ${JSON.stringify(url)}: ${fault}`)
  return withoutSlash(url)
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

/** Paths are put behind it as it is. */
function faultOf(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'It is not a URL such as https://rates.example.com.'
  if (url.username !== '' || url.password !== '') return 'The API takes no user name and password.'
  if (url.search !== '' || url.hash !== '') return 'It has no query and no fragment.'
  return undefined
}
