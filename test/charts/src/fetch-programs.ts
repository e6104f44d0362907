import { Missing } from '@rates/local/java'
import { program, programNames } from './programs.ts'
import { schemas } from './schemas.ts'

// `npm run charts` runs this before its tests, so that none of them waits for a build.
try {
  for (const name of programNames) await program(name)
  await schemas()
} catch (error) {
  console.error(error instanceof Missing ? error.message : error)
  process.exitCode = 1
}
