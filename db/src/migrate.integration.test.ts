import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coordinate } from '@rates/testing/coordinate'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { migrate, pendingMigrations } from './migrate.ts'

const MIGRATIONS = fileURLToPath(new URL('../migrations/', import.meta.url))

async function ask<T extends pg.QueryResultRow>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

describe('migrate', () => {
  let name: string
  let url: string
  let all: string[]
  let folder: string

  beforeAll(async () => {
    all = (await readdir(MIGRATIONS)).sort().map((file) => file.replace('.sql', ''))
  })
  beforeEach(async () => {
    name = `migrate_${process.pid}_${Date.now()}`
    await ask(coordinate('RATES_TEST_DATABASE_URL'), `create database ${name}`)
    url = new URL(`/${name}`, coordinate('RATES_TEST_DATABASE_URL')).href
    folder = await mkdtemp(join(tmpdir(), 'rates-migrations-'))
    await cp(MIGRATIONS, folder, { recursive: true })
  })
  afterEach(async () => {
    await ask(coordinate('RATES_TEST_DATABASE_URL'), `drop database ${name} with (force)`)
    await rm(folder, { recursive: true })
  })

  it('is done by one of three at once; the others wait for it and find nothing to do', async () => {
    expect(await pendingMigrations(url)).toEqual(all)
    const steps: string[] = []
    const applied = await Promise.all([1, 2, 3].map(() => migrate(url, (step) => steps.push(step))))
    expect(applied.sort((a, b) => b.length - a.length)).toEqual([all, [], []])
    expect(steps).toEqual(all)
    expect(await pendingMigrations(url)).toEqual([])
    expect(await ask(url, 'select version from catalog')).toEqual([{ version: '1' }])
  })

  it('applies only what is new', async () => {
    await migrate(url)
    await writeFile(join(folder, '0900_more.sql'), 'create table more (n int); insert into more values (1), (2);')
    expect(await pendingMigrations(url, folder)).toEqual(['0900_more'])
    expect(await migrate(url, undefined, folder)).toEqual(['0900_more'])
    expect(await ask(url, 'select sum(n) from more')).toEqual([{ sum: '3' }])
    expect(await migrate(url)).toEqual([]) // an older release on a newer schema
  })

  it('leaves nothing of a file that fails, and goes on from there once it is mended', async () => {
    const file = join(folder, '0900_more.sql')
    await writeFile(file, 'create table more (n int); select 1 / 0;')
    await expect(migrate(url, undefined, folder)).rejects.toThrow('db/migrations/0900_more.sql: division by zero')
    expect(await ask(url, `select to_regclass('more') as more`)).toEqual([{ more: null }])
    expect(await pendingMigrations(url, folder)).toEqual(['0900_more'])
    await writeFile(file, 'create table more (n int);')
    expect(await migrate(url, undefined, folder)).toEqual(['0900_more'])
  })

  it('refuses a file that was changed after it was applied, though not other line ends', async () => {
    await writeFile(join(folder, '0900_more.sql'), 'create table more (\nn int);\n')
    await migrate(url, undefined, folder)
    await writeFile(join(folder, '0900_more.sql'), 'create table more (\r\nn int);\r\n')
    expect(await migrate(url, undefined, folder)).toEqual([])
    await writeFile(join(folder, '0900_more.sql'), 'create table more (\nn bigint);\n')
    await expect(migrate(url, undefined, folder)).rejects.toThrow('0900_more.sql was changed after it was applied')
    await expect(pendingMigrations(url, folder)).rejects.toThrow('0900_more.sql was changed')
  })

  it('refuses names without a number and numbers given twice', async () => {
    await writeFile(join(folder, '0001_again.sql'), '')
    await expect(migrate(url, undefined, folder)).rejects.toThrow('two files have the number 1')
    await rm(join(folder, '0001_again.sql'))
    await writeFile(join(folder, 'more.sql'), '')
    await expect(migrate(url, undefined, folder)).rejects.toThrow('more.sql: a migration is named like')
  })
})

describe('the schema', () => {
  let client: pg.Client
  let name: string
  const run = (text: string, values: unknown[] = []) => client.query<Record<string, unknown>>(text, values)
  const version = async () => Number((await run('select version from catalog')).rows[0]!['version'])

  beforeAll(async () => {
    name = `schema_${process.pid}_${Date.now()}`
    await ask(
      coordinate('RATES_TEST_DATABASE_URL'),
      `create database ${name} template ${coordinate('RATES_TEST_TEMPLATE')}`,
    )
    client = new pg.Client({ connectionString: new URL(`/${name}`, coordinate('RATES_TEST_DATABASE_URL')).href })
    await client.connect()
    await run(`insert into regions values ('sea', 'Sea', null), ('coast', 'Coast', 'sea')`)
    await run(`insert into ports (code, name, parent_slug) values ('AAAAA', 'A', 'sea'), ('BBBBB', 'B', 'coast')`)
  })
  afterAll(async () => {
    await client.end()
    await ask(coordinate('RATES_TEST_DATABASE_URL'), `drop database ${name} with (force)`)
  })

  describe('lets a batch go only', () => {
    const states = ['open', 'succeeded', 'failed', 'cancelled', 'reverted', 'replaced']
    const allowed = [
      'open -> succeeded',
      'open -> failed',
      'open -> cancelled',
      'succeeded -> reverted',
      'succeeded -> replaced',
      'replaced -> succeeded',
    ]
    /** The ways from open to each state. */
    const paths: Record<string, string[]> = {
      open: [],
      succeeded: ['succeeded'],
      failed: ['failed'],
      cancelled: ['cancelled'],
      reverted: ['succeeded', 'reverted'],
      replaced: ['succeeded', 'replaced'],
    }
    /** To and from `replaced` by a batch of its own, which does its part. */
    const move = async (id: string, state: string) => {
      const other = `${id}-next`
      if (state === 'replaced') {
        await run(
          `insert into batches (id, state, replaces, finished_at) values ($1, 'succeeded', $2, now()) on conflict do nothing`,
          [other, id],
        )
      }
      if (state === 'succeeded') await run(`update batches set state = 'reverted' where id = $1`, [other])
      return run(
        `update batches set state = $2, finished_at = case when $2 <> 'open' then now() end,
           replaced_by = case when $2 = 'replaced' then $3 else replaced_by end where id = $1`,
        [id, state, other],
      )
    }
    const timesOf = async (id: string) =>
      (await run(`select hidden_at is not null as hidden, replaced_by from batches where id = $1`, [id])).rows[0]

    it.each([false, true])('along the transitions of the ledger (dry run: %s)', async (dryRun) => {
      const seen: string[] = []
      for (const from of states.filter((state) => !dryRun || !['reverted', 'replaced'].includes(state))) {
        for (const to of states.filter((state) => state !== from)) {
          const id = `${from}-${to}`
          await run(`insert into batches (id, state, dry_run) values ($1, 'open', $2)`, [id, dryRun])
          for (const state of paths[from]!) await move(id, state)
          const moved = await move(id, to).catch((error: pg.DatabaseError) => {
            expect(error).toMatchObject({ code: '23514', message: `batch ${id} cannot go from ${from} to ${to}` })
          })
          if (moved) seen.push(`${from} -> ${to}`)
        }
      }
      const ofData = (transition: string) => transition.includes('reverted') || transition.includes('replaced')
      expect(seen).toEqual(allowed.filter((transition) => !dryRun || !ofData(transition)))
      await run('delete from batches')
    })

    it('without a new identity, and nowhere once it is purged', async () => {
      await run(`insert into batches (id, state) values ('one', 'open')`)
      await expect(run(`update batches set id = 'two'`)).rejects.toThrow('the identity of batch one cannot change')
      await expect(run(`update batches set purged_at = now()`)).rejects.toMatchObject({ code: '23514' })
      await move('one', 'succeeded')
      await move('one', 'replaced')
      await run(`update batches set purged_at = now() where id = 'one'`)
      await expect(move('one', 'succeeded')).rejects.toThrow('batch one was purged')
      await run('delete from batches')
    })

    it('to be replaced by one that names it and has succeeded, and back once that one was reverted', async () => {
      const replace = (by: string | null) =>
        run(`update batches set state = 'replaced', replaced_by = $1 where id = 'old'`, [by])
      const rule = 'batch old is replaced only by one that names it and has succeeded'
      await run(`insert into batches (id, state, replaces, finished_at) values ('old', 'succeeded', null, now()),
        ('next', 'open', 'old', null), ('other', 'succeeded', 'somebody', now())`)
      for (const by of [null, 'nobody', 'next', 'other']) await expect(replace(by)).rejects.toThrow(rule)
      await run(
        `insert into batches (id, dry_run, state, replaces, finished_at) values ('dry', true, 'succeeded', 'old', now())`,
      )
      await expect(replace('dry')).rejects.toThrow(rule)
      await run(`update batches set state = 'succeeded', finished_at = now() where id = 'next'`)
      await replace('next')
      expect(await timesOf('old')).toEqual({ hidden: true, replaced_by: 'next' })
      await expect(run(`update batches set replaced_by = null where id = 'old'`)).rejects.toThrow('only with its state')

      const back = () => run(`update batches set state = 'succeeded' where id = 'old'`)
      await expect(back()).rejects.toThrow('batch old comes back only when next is reverted')
      await run(`update batches set state = 'reverted' where id = 'next'`)
      expect(await timesOf('next')).toEqual({ hidden: true, replaced_by: null })
      await back()
      expect(await timesOf('old')).toEqual({ hidden: false, replaced_by: null })
      await run('delete from batches')
    })
  })

  it('refuses a cycle of regions, whatever the order they come in', async () => {
    await expect(run(`update regions set parent_slug = 'coast' where slug = 'sea'`)).rejects.toMatchObject({
      code: '23514',
      message: 'region sea would be its own ancestor',
    })
    await expect(
      run(`insert into regions values ('x', 'X', 'z'), ('y', 'Y', 'x'), ('z', 'Z', 'y')`),
    ).rejects.toMatchObject({ code: '23514' })
    await run(`insert into regions values ('child', 'Child', 'parent'), ('parent', 'Parent', null)`)
  })

  it('never deletes ports and regions', async () => {
    for (const statement of [
      'delete from ports',
      'delete from regions',
      'truncate ports',
      'truncate regions cascade',
    ]) {
      await expect(run(statement)).rejects.toThrow('are never deleted: prices name them')
    }
  })

  it('raises the version of the catalogue where something was written, once for each statement', async () => {
    const before = await version()
    await run(`update ports set name = 'C' where code = 'CCCCC'`)
    await run(`insert into ports (code, name, parent_slug) values ('AAAAA', 'A', 'sea') on conflict do nothing`)
    expect(await version()).toBe(before)
    await run(`insert into ports (code, name, parent_slug) values ('CCCCC', 'C', 'sea'), ('DDDDD', 'D', 'sea')`)
    expect(await version()).toBe(before + 1)
    await run(`update regions set name = 'The sea' where slug = 'sea'`)
    expect(await version()).toBe(before + 2)
  })

  it('shows in the view prices what packs hold, but for hidden batches', async () => {
    const pack = `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
      select $1, o.id, d.id, $2, $3, $4, $5, $6 from ports o, ports d where o.code = 'AAAAA' and d.code = 'BBBBB'`
    await run(pack, [1, '2026-02-01', [0, 27], [2, 1], [30, 7], [10, 20, 7]])
    await run(pack, [2, '2026-02-01', [27], [1], [9], [9]])
    const prices = async () =>
      (
        await run(`select orig_code || dest_code || ' ' || day || ' ' || price as row from prices order by day, price`)
      ).rows.map(({ row }) => row)
    const first = ['AAAAABBBBB 2026-02-01 10', 'AAAAABBBBB 2026-02-01 20', 'AAAAABBBBB 2026-02-28 7']
    expect(await prices()).toEqual([...first, 'AAAAABBBBB 2026-02-28 9'])
    await run('insert into hidden_batches values (2)')
    expect(await prices()).toEqual(first)
    await run('insert into hidden_batches values (1)')
    expect(await prices()).toEqual([])
  })
})
