import { Missing } from '@rates/local/java'
import { program, programNames } from './programs.ts'
import { schemas } from './schemas.ts'

// `npm run charts` runs this before its tests, so that none of them waits for a build; with names, as `npm run e2e` does,
// it is for these programs only.
const named = programNames.filter((name) => process.argv.includes(name, 2))
try {
  for (const name of named.length > 0 ? named : programNames) await program(name)
  if (named.length === 0) await schemas()
} catch (error) {
  console.error(error instanceof Missing ? error.message : error)
  process.exitCode = 1
}
