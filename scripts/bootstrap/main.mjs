import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { charts, e2e, test } from './checks.mjs'
import { e2eCluster } from './cluster.mjs'
import { install, node24 } from './install.mjs'
import { runInstead, Told } from './run.mjs'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Returns the exit code. */
async function bootstrap([command, ...args]) {
  await install(root)
  if (command === 'test') return test(root, args)
  if (command === 'e2e') return e2e(root, args)
  if (command === 'e2e:cluster') return e2eCluster(root, args)
  if (command === 'charts') return charts(root, args)
  await build(root)
  if (command === 'bench') return run('bench', args)
  return run('rates', command === undefined ? args : [command, ...args])
}

function run(program, args) {
  const file = join(root, 'scripts', 'dist', `${program}.js`)
  if (!existsSync(file)) throw new Told(`there is no ${file}`)
  // The parent's id: a supervisor whose starter was killed is not left running.
  const env = { ...process.env, RATES_PARENT: String(process.pid) }
  return runInstead(node24(root), ['--disable-warning=TimeoutNegativeWarning', file, ...args], { env })
}

export function main(args) {
  bootstrap(args).then(
    (code) => (process.exitCode = code),
    (error) => {
      console.error(error instanceof Told ? error.message : error)
      process.exitCode = 1
    },
  )
}
