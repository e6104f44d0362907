import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endOrphans, findOurs, isAlive, isOurs, spawnLogged } from './processes.ts'

describe('processes', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rates-processes-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const stubborn = `process.on('SIGTERM', () => console.log('no')); setInterval(() => undefined, 1000); console.log('up')`
  const start = async (script: string, mark: string) => {
    const log = join(folder, 'log')
    const started = await spawnLogged(process.execPath, ['-e', script, mark], { log })
    while (!(await started.said()).includes('up')) await new Promise((resolve) => setTimeout(resolve, 10))
    return started
  }

  it('stops a process that does not listen to SIGTERM at the deadline', async () => {
    const started = await start(stubborn, 'one')
    expect(await started.stop('SIGTERM', 100)).toEqual({ code: null, signal: 'SIGKILL' })
    expect(await started.said()).toBe('up\nno\n')
  })

  it('does not take a process for ours by its id alone', async () => {
    const mark = join(folder, 'id')
    const started = await start(stubborn, mark)
    expect(isAlive(started.pid)).toBe(true)
    expect(await isOurs(started.pid, [mark])).toBe(true)
    expect(await isOurs(started.pid, [mark, 'of another clone'])).toBe(false)
    await started.stop('SIGKILL', 0)
    expect(isAlive(started.pid)).toBe(false)
    expect(await isOurs(started.pid, [mark])).toBe(false)
  })

  it('finds and ends what a killed run left, and nothing else', async () => {
    const mark = join(folder, 'mine')
    const [mine, other] = await Promise.all([start(stubborn, mark), start(stubborn, join(folder, 'other'))])
    expect(await findOurs([mark])).toEqual([mine.pid])
    expect(await endOrphans([mark], 'SIGTERM', 100)).toBe(1)
    expect(isAlive(other.pid)).toBe(true)
    expect(await endOrphans([mark])).toBe(0)
    await other.stop('SIGKILL', 0)
  })

  it('tells a program that is not there', async () => {
    await expect(spawnLogged(join(folder, 'nothing'), [], { log: join(folder, 'log') })).rejects.toThrow('ENOENT')
  })

  it('lets a process outlive its starter’s terminal: it leads a group of its own', async () => {
    const started = await start(stubborn, 'group')
    const ps = spawn('ps', ['-o', 'pgid=', '-p', String(started.pid)])
    let said = ''
    for await (const chunk of ps.stdout) said += String(chunk)
    expect(Number(said)).toBe(started.pid)
    await started.stop('SIGKILL', 0)
  })
})
