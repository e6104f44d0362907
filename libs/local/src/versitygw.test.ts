import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { Missing } from './java.ts'
import { findVersitygw, requireVersitygw, versitygw } from './versitygw.ts'

const before = { ...process.env }
let folder: string
beforeEach(async () => {
  folder = await temporaryFolder()
  process.env['PATH'] = join(folder, 'bin')
  process.env['XDG_CACHE_HOME'] = join(folder, 'cache')
  delete process.env['VERSITYGW_BIN']
})
afterEach(async () => {
  process.env = { ...before }
  await rm(folder, { recursive: true })
})

async function addProgram(file: string, says: string): Promise<string> {
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, `#!/bin/sh\necho '${says}'\n`)
  await chmod(file, 0o755)
  return file
}
const said = (version: string): string => `Version  : ${version}\nBuild    : norev\nBuildTime: none`
const onPath = (name: string): string => join(folder, 'bin', name)

describe('requireVersitygw', () => {
  it('says how else to go on where there is neither the program nor Go', async () => {
    const missing = await requireVersitygw().catch((error: unknown) => error)
    expect(missing).toBeInstanceOf(Missing)
    expect((missing as Missing).message).toMatch(
      /neither versitygw 1\.8\.0 nor Go[^]*https:\/\/go\.dev\/dl[^]*VERSITYGW_BIN=[^]*S3_ENDPOINT=/,
    )
    await expect(findVersitygw()).rejects.toBeInstanceOf(Missing)
  })

  it('says so where the program that is named is another one', async () => {
    for (const program of ['/nowhere/versitygw', await addProgram(onPath('other'), 'Hello')]) {
      await expect(requireVersitygw(program)).rejects.toThrow(`"${program} --version" does not answer as versitygw`)
      process.env['VERSITYGW_BIN'] = program
      await expect(requireVersitygw()).rejects.toThrow(`"${program} --version" does not answer as versitygw`)
    }
  })

  it('is content with Go, which can build it', async () => {
    await addProgram(onPath('go'), 'go version go1.26.0 linux/amd64')
    await expect(requireVersitygw()).resolves.toBeUndefined()
  })
})

describe('findVersitygw', () => {
  it('takes the one that is named, of whatever version, before the one on the PATH, and this before the cache', async () => {
    const cached = join(folder, 'cache', 'rates', 'programs', `versitygw-${versitygw.version}`, 'versitygw')
    await addProgram(cached, said('v1.8.0'))
    expect(await findVersitygw()).toBe(cached)
    await addProgram(onPath('versitygw'), said('v1.7.9'))
    expect(await findVersitygw()).toBe(cached)
    await addProgram(onPath('versitygw'), said('v1.8.0'))
    expect(await findVersitygw()).toBe('versitygw')
    const named = await addProgram(join(folder, 'named'), said('v1.9.0'))
    expect(await findVersitygw(named)).toBe(named)
    process.env['VERSITYGW_BIN'] = named
    expect(await findVersitygw()).toBe(named)
  })
})
