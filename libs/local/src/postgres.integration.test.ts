import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { nextFreePort } from './ports.ts'
import { forgetPostgres, type RunningPostgres, startPostgres } from './postgres.ts'

describe('startPostgres', () => {
  let dir: string
  let running: RunningPostgres | undefined
  const start = async (port = 0) => {
    const notes: string[] = []
    running = await startPostgres({ dir, port, extra: { fsync: 'off' }, onProgress: (note) => notes.push(note) })
    return { server: running, notes }
  }
  const systemOf = async ({ dir: data }: RunningPostgres) =>
    (await readFile(join(data, 'global', 'pg_control'))).subarray(0, 8)

  beforeAll(async () => {
    dir = join(await temporaryFolder(), 'postgres')
  })
  afterAll(async () => {
    await running?.stop()
    await rm(dirname(dir), { recursive: true, force: true })
  })

  it('makes the folder once; a later start has the same data', async () => {
    const first = await start()
    expect(first.notes).toEqual(['creating the database folder'])
    const system = await systemOf(first.server)
    await first.server.stop()
    expect(await first.server.exited).toEqual({ code: 0, signal: null })
    const second = await start()
    expect(second.notes).toEqual([])
    expect(await systemOf(second.server)).toEqual(system)
  })

  it('ends the server that a killed run has left on the folder', async () => {
    const orphan = running!
    const { server, notes } = await start()
    expect(notes).toEqual(['ended the server that a killed run had left'])
    expect(await orphan.exited).toEqual({ code: 0, signal: null })
    expect(server.pid).not.toBe(orphan.pid)
  })

  it('comes up after a kill, although the pid file names a process by now that is another program', async () => {
    process.kill(running!.pid, 'SIGKILL')
    await running!.exited
    const file = join(running!.dir, 'postmaster.pid')
    const lines = (await readFile(file, 'utf8')).split('\n')
    await writeFile(file, [String(process.pid), ...lines.slice(1)].join('\n'))
    const { server } = await start()
    expect(server.pid).not.toBe(process.pid)
  })

  it('takes the next port where the wanted one is taken, and says so', async () => {
    await running!.stop()
    const wanted = await nextFreePort(25_432)
    const occupant = await new Promise<Server>((resolve) => {
      const server = createServer().listen(wanted, '127.0.0.1', () => resolve(server))
    })
    const { server, notes } = await start(wanted)
    expect(server.port).toBeGreaterThan(wanted)
    expect(notes).toEqual([`port ${wanted} is taken: PostgreSQL listens on ${server.port}`])
    occupant.close()
  })

  it('refuses the data of another major version in words', async () => {
    await running!.stop()
    const file = join(running!.dir, 'PG_VERSION')
    const version = await readFile(file, 'utf8')
    await writeFile(file, '13\n')
    await expect(start()).rejects.toThrow(/is of PostgreSQL 13, this is 18: forget the data/)
    await writeFile(file, version)
  })

  it('forgets the data', async () => {
    await start()
    const { dir: data, exited } = running!
    await forgetPostgres(dir)
    await exited
    await expect(readFile(join(data, 'PG_VERSION'))).rejects.toThrow('ENOENT')
  })
})
