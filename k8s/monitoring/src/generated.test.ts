import { describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { generated } from './generated.ts'

describe('the files of the chart', () => {
  it.each([...generated()].map(([file, text]) => [basename(file.pathname), file, text] as const))(
    '%s is what its source makes; if not: npm run monitoring:generate',
    (_name, file, text) => {
      expect(readFileSync(file, 'utf8')).toBe(text)
    },
  )
})
