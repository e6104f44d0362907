import { beforeAll, describe, expect, it, jest } from '@jest/globals'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

// It evaluates hours of rules.
jest.setTimeout(180_000)

const run = promisify(execFile)
const tests = fileURLToPath(new URL('../rules-tests/', import.meta.url))
const rules = fileURLToPath(new URL('../../../charts/rates/files/rules/', import.meta.url))

/** @throws with what promtool says */
async function promtool(...args: string[]): Promise<string> {
  try {
    return (await run('promtool', args)).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`)
  }
}

beforeAll(async () => {
  await run('promtool', ['--version']).catch(() => {
    throw new Error('promtool is not on PATH; it comes with Prometheus (Debian: apt-get install prometheus)')
  })
})

describe('the rules', () => {
  it.each(readdirSync(rules))('%s is what Prometheus takes', async (name) => {
    expect(await promtool('check', 'rules', `${rules}${name}`)).toMatch(/SUCCESS/)
  })

  it.each(readdirSync(tests))('do what %s expects', async (name) => {
    expect(await promtool('test', 'rules', `${tests}${name}`)).toMatch(/SUCCESS/)
  })
})
