import { describe, expect, it } from '@jest/globals'
import { parseJavaVersion } from './java.ts'

describe('parseJavaVersion', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['openjdk version "24-ea" 2025-03-18', 24],
    ['java version "1.8.0_402"', 8],
    ['zsh: command not found: java', undefined],
  ])('%s', (text, version) => expect(parseJavaVersion(text)).toBe(version))
})
