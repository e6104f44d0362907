import { build, pathWithBin } from './build.mjs'
import { runInstead } from './run.mjs'

/** `npm test`: everything that does not need an hour. With arguments only the tests that Jest finds by them. */
export async function test(root, args) {
  const jest = ['run', '--silent', 'jest', '--', ...args, '--selectProjects', 'unit', 'integration']
  if (args.length > 0) return runSteps(root, [['build'], ['tests', jest]])
  return runSteps(root, [
    ['lint', ['run', '--silent', 'lint']],
    ['types', ['run', '--silent', 'typecheck']],
    ['build'],
    ['tests', jest],
  ])
}

/**
 * `npm run e2e`: what needs processes of the services, killed and restarted. With arguments only the tests that Jest
 * finds by them.
 */
export async function e2e(root, args) {
  const jest = ['run', '--silent', 'jest', '--', ...args, '--selectProjects', 'e2e']
  if (args.length > 0) return runSteps(root, [['build'], ['e2e', jest]])
  // Built before any test waits for it. Where it cannot be had, the tests that need it say so, and the others run.
  const store = ['run', '--silent', '--workspace', 'test/charts', 'programs', 'versitygw']
  return runSteps(root, [['build'], ['store', store, { required: false }], ['e2e', jest]])
}

/** `npm run charts`: charts, rules and images against the programs that judge them, which it finds or fetches first. */
export async function charts(root, args) {
  const jest = ['run', '--silent', 'jest', '--', ...args, '--selectProjects', 'charts']
  return runSteps(root, [
    ['build'],
    ['programs', ['run', '--silent', '--workspace', 'test/charts', 'programs']],
    ['charts', jest],
  ])
}

/** One after the other until one fails; then tells what took how long. Returns the exit code. */
async function runSteps(root, steps) {
  const lines = []
  let code = 0
  for (const [name, npm, { required = true } = {}] of steps) {
    const since = Date.now()
    // What was built a step ago is what the tests' processes run: its times tell nothing, where nx took it from its cache.
    const built = lines.some((line) => line.trimStart().startsWith('build'))
    const env = { ...process.env, PATH: pathWithBin(root), ...(built && { RATES_BUILT: '1' }) }
    if (npm === undefined) await build(root)
    else code = await runInstead('npm', npm, { cwd: root, env })
    lines.push(
      `  ${name.padEnd(9)}${((Date.now() - since) / 1000).toFixed(1).padStart(6)} s${code === 0 ? '' : '  FAILED'}`,
    )
    if (code !== 0 && required) break
  }
  process.stderr.write(`\n${lines.join('\n')}\n`)
  return code
}
