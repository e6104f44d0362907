import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

const run = promisify(execFile)

export type CopyProgram = 'psql' | 'pg'

/** What people load with today: psql where it is installed, else COPY through the driver. */
export async function copyProgram(): Promise<CopyProgram> {
  return run('psql', ['--version']).then(
    () => 'psql' as const,
    () => 'pg' as const,
  )
}

/**
 * Loads CSV files, each with one COPY in a transaction of its own, by one program on one connection.
 * @returns seconds @throws at the first bad row
 */
export async function copyFiles(
  url: string,
  table: string,
  files: readonly string[],
  program: CopyProgram,
): Promise<number> {
  const started = performance.now()
  if (program === 'psql') {
    const commands = files.flatMap((file) => ['-c', `\\copy ${table} from '${file}' with (format csv)`])
    await run('psql', [url, '-qX', '-v', 'ON_ERROR_STOP=1', ...commands])
  } else {
    const client = new pg.Client(url)
    await client.connect()
    try {
      for (const file of files) {
        await pipeline(createReadStream(file), client.query(copyFrom(`copy ${table} from stdin with (format csv)`)))
      }
    } finally {
      await client.end()
    }
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
