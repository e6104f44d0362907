import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { ConfigError, loadConfig } from '@rates/service/config'
import { settings } from './config.ts'

const PLACES = { DATABASE_URL: 'postgres://u@h:5/d', KAFKA_BROKERS: 'h:9092' }
const folder = mkdtempSync(join(tmpdir(), 'rates-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

function secretFile(text: string): string {
  const path = join(folder, 'secret')
  writeFileSync(path, text)
  return path
}

function faults(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(settings, { ...PLACES, ...env })
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const WEBHOOK_URL = 'https://user:hush@example.com/hook?a=b'

describe('webhooks', () => {
  it('need no setting, and take a login', () => {
    expect(faults({})).toEqual([])
    const WEBHOOK_SECRET_FILE = secretFile(`whsec_${Buffer.alloc(24, 'a').toString('base64')}\n`)
    const read = loadConfig(settings, { ...PLACES, WEBHOOK_URL, WEBHOOK_SECRET_FILE, PUBLIC_URL: 'https://a.example/' })
    expect(read).toMatchObject({ WEBHOOK_URL, WEBHOOK_SECRET_FILE, PUBLIC_URL: 'https://a.example' })
  })

  it.each(['example.com/hush', 'ftp://example.com/hush', 'http://', 'https://user:%hush@example.com'])(
    'do not go to %s',
    (url) => expect(faults({ WEBHOOK_URL: url })).toEqual(['WEBHOOK_URL is not a URL of http or https']),
  )

  it('want a secret that is one, of requests that there are', () => {
    const rule = 'is a file that does not hold whsec_ and the base64 of 24 to 64 bytes'
    const WEBHOOK_SECRET_FILE = secretFile('hush\n')
    const told = `WEBHOOK_SECRET_FILE ${rule} (it is ${JSON.stringify(WEBHOOK_SECRET_FILE)})`
    expect(faults({ WEBHOOK_URL, WEBHOOK_SECRET_FILE })).toEqual([told])
    expect(faults({ WEBHOOK_SECRET_FILE, PUBLIC_URL: 'a.example' })).toEqual([
      told,
      'PUBLIC_URL is not a URL of http or https',
      'WEBHOOK_SECRET_FILE is set, and WEBHOOK_URL, whose requests it signs, is not',
    ])
    expect(faults({ WEBHOOK_URL, WEBHOOK_SECRET_FILE: join(folder, 'none') })).toEqual([
      `WEBHOOK_SECRET_FILE is a file that cannot be read: ENOENT (it is ${JSON.stringify(join(folder, 'none'))})`,
    ])
  })
})

describe('buckets', () => {
  it('are names: a list that no object could be of is told, beside what else is wrong', () => {
    expect(loadConfig(settings, { ...PLACES, OBJECT_BUCKETS: 'acme-prices, inbox.2' }).OBJECT_BUCKETS).toEqual([
      'acme-prices',
      'inbox.2',
    ])
    for (const name of ['s3://acme', 'acme/in', 'a', 'acme,s3://other']) {
      expect(faults({ OBJECT_BUCKETS: name, OBJECT_LOADS_AT_ONCE: 'many' })).toEqual([
        `OBJECT_BUCKETS is not a list of buckets' names, as acme-prices,inbox (it is ${JSON.stringify(name)})`,
        'OBJECT_LOADS_AT_ONCE is not a number (it is "many")',
      ])
    }
  })
})
