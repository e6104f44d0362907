import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/**
 * Jest's reporter for .ci/run: writes a file into the folder RATES_FAILED_FILES for each test file that failed, once
 * all have run. Its first line is the test file and how many of its tests passed and failed; the rest is why. It writes
 * none where something else is wrong with the run, too, which no test file tells by itself.
 */
export default class FailedFiles {
  onRunComplete(_contexts, { testResults, runExecError, wasInterrupted, snapshot }) {
    const folder = process.env.RATES_FAILED_FILES
    if (runExecError || wasInterrupted || snapshot.unchecked > 0 || snapshot.filesRemoved > 0) return
    const failed = testResults.filter(({ failureMessage }) => failureMessage)
    if (failed.length > 0) mkdirSync(folder, { recursive: true })
    for (const [i, { testFilePath, numPassingTests, numFailingTests, failureMessage }] of failed.entries()) {
      const file = relative(process.cwd(), testFilePath)
      writeFileSync(join(folder, String(i)), `${file} ${numPassingTests} ${numFailingTests}\n${failureMessage}\n`)
    }
  }
}
