import type pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'
import { freshFile, trustedCa } from './fresh-file.ts'

/**
 * Where a database is and how to log in, in one URL, so that it can be handed on as DATABASE_URL is: a password and a
 * CA's certificate in files stand in it as the parameters `passwordfile` and `cafile`, which connectionOptions() reads.
 */
export function databaseAddress(
  url: string,
  files: { password?: string | undefined; ca?: string | undefined },
): string {
  return Object.entries({ passwordfile: files.password, cafile: files.ca }).reduce(withParameter, url)
}

function withParameter(url: string, [name, value]: [string, string | undefined]): string {
  if (value === undefined) return url
  const [place, query = ''] = url.split(/\?(.*)/s)
  const kept = query.split('&').filter((each) => each !== '' && !each.startsWith(`${name}=`))
  return `${place}?${[...kept, `${name}=${encodeURIComponent(value)}`].join('&')}`
}

/** How node-postgres connects to an address. Each new connection reads password and certificate anew. */
export function connectionOptions(address: string): pg.ClientConfig {
  // Not its connectionString: that one overrides a password that is given beside it, also where it has none itself.
  const { passwordfile, cafile, ...options } = parseIntoClientConfig(address) as pg.ClientConfig & {
    passwordfile?: string
    cafile?: string
  }
  if (passwordfile !== undefined) options.password = freshFile(passwordfile)
  if (cafile !== undefined) options.ssl = trustedCa(cafile)
  return options
}
