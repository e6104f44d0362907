// `npm run images`: builds the images of the Dockerfile with what the machine has, Docker or buildah.
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const targets = ['rates-api', 'ingest', 'tools']

const help = `Usage: npm run images -- [options] [TARGET...] [-- BUILD OPTION...]

Builds the images rates/TARGET of the Dockerfile: ${targets.join(', ')} (all, where none is named).

  --tag TAG          of the images; also the version that they tell of themselves (default: dev)
  --prefix TEXT      before the target in an image's name: registry.example.com/rates/ (default: rates/)
  --builder NAME     docker or buildah (default: docker where its engine runs, else buildah)
  --load COMMAND     run for each image, with its name: --load "kind load docker-image"
  --help

What stands after a second "--" goes to the build: -- --build-arg NODE_IMAGE=registry.example.com/node:24-bookworm-slim
BUILDAH_OPTIONS are buildah's own options, before its command: "--root DIR --runroot DIR".
`

class Told extends Error {}

function main() {
  const { args, buildOptions } = splitAtDashes(process.argv.slice(2))
  const { values, positionals } = parse(args)
  if (values.help) return process.stdout.write(help)
  const unknown = positionals.filter((target) => !targets.includes(target))
  if (unknown.length > 0) throw new Told(`There is no target ${unknown.join(', ')}: ${targets.join(', ')}.`)
  const builder = chooseBuilder(values.builder)
  for (const target of positionals.length > 0 ? positionals : targets) {
    const image = `${values.prefix}${target}:${values.tag}`
    const since = Date.now()
    builder.build(image, target, [...identity(values.tag), ...buildOptions])
    if (values.load) run([...words(values.load), image])
    console.log(`${image}  ${((Date.now() - since) / 1000).toFixed(0)} s`)
  }
}

/** npm takes the first "--" for itself. */
function splitAtDashes(all) {
  const at = all.indexOf('--')
  return at < 0 ? { args: all, buildOptions: [] } : { args: all.slice(0, at), buildOptions: all.slice(at + 1) }
}

function parse(args) {
  const text = (value) => ({ type: 'string', ...(value !== undefined && { default: value }) })
  const options = { tag: text('dev'), prefix: text('rates/'), builder: text(), load: text(), help: { type: 'boolean' } }
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    throw new Told(`${error.message}\n\n${help}`)
  }
}

const builders = {
  docker: {
    there: () => succeeds('docker', ['info']),
    build: (image, target, options) =>
      run(['docker', 'build', '--target', target, '--tag', image, ...options, '.'], {
        SOURCE_DATE_EPOCH: commitTime(),
      }),
  },
  buildah: {
    there: () => succeeds('buildah', ['--version']),
    // The commit's time instead of now, for every file and in the image: the same sources make the same digest.
    build: (image, target, options) =>
      run([
        ...['buildah', ...words(process.env.BUILDAH_OPTIONS ?? ''), 'build', '--layers', '--timestamp', commitTime()],
        ...['--target', target, '--tag', image, '--file', 'Dockerfile', ...options, '.'],
      ]),
  },
}

function chooseBuilder(wanted) {
  const name = wanted ?? Object.keys(builders).find((each) => builders[each].there())
  if (name === undefined) {
    throw new Told('Neither a running Docker nor buildah is here to build images with: start or install one of them.')
  }
  if (!(name in builders)) throw new Told(`There is no builder ${name}: docker or buildah.`)
  if (!builders[name].there()) throw new Told(`${name} is not here, or does not run.`)
  return builders[name]
}

function identity(version) {
  return ['--build-arg', `VERSION=${version}`, '--build-arg', `COMMIT=${git('rev-parse', 'HEAD')}`]
}

const commitTime = () => git('log', '-1', '--format=%ct') || '0'

/** Empty where this is no clone. */
function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}

const words = (text) => text.split(/\s+/).filter(Boolean)

const succeeds = (program, args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0

/** What it prints goes to stderr, so that stdout has the images' names alone. */
function run([program, ...args], env = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
  })
  if (status !== 0) throw new Told(`${program} ${args.join(' ')} failed (${error?.message ?? `exit code ${status}`})`)
}

try {
  main()
} catch (error) {
  console.error(error instanceof Told ? error.message : error)
  process.exitCode = 1
}
