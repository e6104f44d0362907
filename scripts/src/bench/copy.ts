import { execFile, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

const run = promisify(execFile)

/** What people load with today: psql where it is installed, else COPY through the driver. */
export async function copyProgram(): Promise<'psql' | 'pg'> {
  return run('psql', ['--version']).then(
    () => 'psql' as const,
    () => 'pg' as const,
  )
}

/** Loads a CSV file with one COPY. @returns seconds */
export async function copyFile(url: string, table: string, file: string, program: 'psql' | 'pg'): Promise<number> {
  const started = performance.now()
  if (program === 'psql') {
    const child = spawn(
      'psql',
      [url, '-qX', '-v', 'ON_ERROR_STOP=1', '-c', `\\copy ${table} from '${file}' with (format csv)`],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
    const code = await new Promise((resolve) => child.once('exit', resolve))
    if (code !== 0) throw new Error(`psql ended with ${String(code)}`)
  } else {
    const client = new pg.Client(url)
    await client.connect()
    await pipeline(createReadStream(file), client.query(copyFrom(`copy ${table} from stdin with (format csv)`)))
    await client.end()
  }
  return (performance.now() - started) / 1000
}

/** The original service's tables, with the index that its queries want; the keys as in its dump, or none. */
export const originalSchema = (keys: boolean): string => `
drop schema if exists original cascade;
create schema original;
create table original.regions (slug text primary key, name text not null, parent_slug text references original.regions);
create table original.ports (code text primary key, name text not null, parent_slug text not null references original.regions);
create table original.prices (orig_code text not null${keys ? ' references original.ports' : ''},
  dest_code text not null${keys ? ' references original.ports' : ''}, day date not null, price integer not null);
create index on original.prices (orig_code, dest_code, day);
insert into original.regions select slug, name, parent_slug from public.regions;
insert into original.ports select code, name, parent_slug from public.ports;`

/** The least that a database can do with the rows: small numbers into an empty heap. */
export const bareHeap = `
drop schema if exists bare cascade;
create schema bare;
create table bare.prices (orig int not null, dest int not null, day date not null, price int not null);`
