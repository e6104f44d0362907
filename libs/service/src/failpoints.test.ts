import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { commonSettings, ConfigError, loadConfig } from './config.ts'
import { FAILPOINTS, readFailpoints } from './failpoints.ts'
import { z } from 'zod'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The names that the services' sources pass. */
function passed(): Set<string> {
  const files = ['libs/service/src', 'services/ingest/src', 'services/rates-api/src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.includes('.test.'))
      .map((file) => readFileSync(join(root, folder, file), 'utf8')),
  )
  return new Set(files.flatMap((text) => [...text.matchAll(/\bfailpoint\('([^']+)'\)/g)].map(([, name]) => name!)))
}

describe('failpoints', () => {
  it('are passed somewhere, each of them, and no others', () => {
    expect(passed()).toEqual(new Set(FAILPOINTS))
  })

  it('are read with the pass at which to die', () => {
    expect(readFailpoints('')).toEqual(new Map())
    expect(readFailpoints('parsed,after-chunk@3')).toEqual(
      new Map([
        ['parsed', 1],
        ['after-chunk', 3],
      ]),
    )
  })

  it.each(['published', 'after-chunk@0', 'after-chunk@x', 'after-chunk@1@2', '@2', 'parsed@'])(
    '%s is a fault of the settings, told at the start',
    (setting) => {
      expect(() => readFailpoints(setting)).toThrow(RangeError)
      const load = () => loadConfig(z.object(commonSettings), { FAILPOINTS: `parsed,${setting}` })
      expect(load).toThrow(ConfigError)
      expect(load).toThrow(`FAILPOINTS names no failpoint with "${setting}"`)
    },
  )
})
