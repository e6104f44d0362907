import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pathWithBin } from './build.mjs'
import { runInstead, Told } from './run.mjs'

const HELP = `npm run e2e:cluster -- [options]

Installs the charts on the cluster of KUBECONFIG, and tests what happens to an installation there: rollouts, evictions,
kills and restarts under a constant load, upgrades, scaling, uninstalling. Namespaces rates-e2e-* are made and deleted.

  --image-loader COMMAND   builds each image and brings it to the nodes: COMMAND TAG DOCKERFILE CONTEXT [build arguments].
                           On kind: test/cluster/kind-image. Without it the images have to be there, or in a registry.
  --tag TAG                of the images (dev)
  --repository NAME        what stands before /rates-api, /ingest and /tools (rates)
  --node HOST              where NodePorts are reached (the first node's InternalIP; on kind 127.0.0.1)
  --ports A,B,C            free NodePorts for the API, Kafka and PostgreSQL (30080,30092,30432)
  --host HOST              where pods reach this machine, on which the test external-services runs servers for them (the
                           first node's InternalIP, where that is this machine; else the test is skipped)
  --only NAME              one of: install, rollouts, upgrade, scale, admission, external-services
  --upgrades N             how many follow one another (20)
  --report                 writes docs/rollouts.md and docs/plots/rollouts.svg
  --keep                   leaves the installations for a look at them
  --help

Each option has a variable: CLUSTER_IMAGE_LOADER, CLUSTER_TAG, CLUSTER_REPOSITORY, CLUSTER_NODE, CLUSTER_HOST,
CLUSTER_NODE_PORTS, CLUSTER_UPGRADES, CLUSTER_REPORT=1, CLUSTER_KEEP=1. Logs of all pods go to .rates/cluster/logs.
`

/** `npm run e2e:cluster`. Returns the exit code. */
export async function e2eCluster(root, args) {
  const options = read(args)
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }
  const env = { ...process.env, PATH: pathWithBin(root), ...variables(options) }
  await present(env)
  await images(root, env)
  const jest = ['run', '--silent', 'jest', '--', '--selectProjects', 'cluster', '--runInBand']
  const only = options.only === undefined ? [] : ['--testPathPatterns', `${options.only}\\.cluster\\.test\\.ts$`]
  return runInstead('npm', [...jest, ...only], { cwd: root, env })
}

function read(args) {
  const text = { type: 'string' }
  const flag = { type: 'boolean' }
  const known = { tag: text, repository: text, node: text, host: text, ports: text, only: text, upgrades: text }
  const flags = { report: flag, keep: flag, help: flag }
  try {
    return parseArgs({ args, options: { 'image-loader': text, ...known, ...flags } }).values
  } catch (error) {
    throw new Told(`${error.message}\n\n${HELP}`)
  }
}

function variables(options) {
  const named = {
    CLUSTER_IMAGE_LOADER: options['image-loader'],
    CLUSTER_TAG: options.tag,
    CLUSTER_REPOSITORY: options.repository,
    CLUSTER_NODE: options.node,
    CLUSTER_HOST: options.host,
    CLUSTER_NODE_PORTS: options.ports,
    CLUSTER_UPGRADES: options.upgrades,
    CLUSTER_REPORT: options.report && '1',
    CLUSTER_KEEP: options.keep && '1',
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
}

/** What cannot be done without, told all at once. */
async function present(env) {
  const missing = []
  if (!env.KUBECONFIG && !existsSync(join(homedir(), '.kube', 'config'))) {
    missing.push('KUBECONFIG is not set: a cluster is needed, as of "kind create cluster --config kind-config.yaml"')
  }
  const [kubectl, helm] = await Promise.all([
    ran('kubectl', ['version', '--client'], env),
    ran('helm', ['version', '--short'], env),
  ])
  if (!kubectl.ok) missing.push('kubectl is not on the PATH')
  if (!helm.ok) missing.push('helm is not on the PATH (3.22 or newer)')
  if (missing.length === 0) {
    const cluster = await ran('kubectl', ['get', 'nodes', '--request-timeout=10s'], env)
    if (!cluster.ok) missing.push(`the cluster does not answer: ${cluster.said.split('\n').at(-1)}`)
  }
  if (missing.length > 0) throw new Told(`npm run e2e:cluster: ${missing.join('\n  ')}`)
}

/** Builds and loads the images, or says which of them no node has. */
async function images(root, env) {
  const { CLUSTER_REPOSITORY: repository = 'rates', CLUSTER_TAG: tag = 'dev', CLUSTER_IMAGE_LOADER: loader } = env
  const targets = ['rates-api', 'ingest', 'tools']
  if (loader) {
    const [program, ...first] = loader.split(' ')
    for (const target of targets) {
      const since = Date.now()
      const args = [...first, `${repository}/${target}:${tag}`, join(root, 'Dockerfile'), root, '--target', target]
      const code = await runInstead(program, args, { cwd: root, env })
      if (code !== 0) throw new Told(`${loader} ended with ${code}`)
      process.stderr.write(`  ${target} built and loaded in ${((Date.now() - since) / 1000).toFixed(0)} s\n`)
    }
    return
  }
  const nodes = await ran('kubectl', ['get', 'nodes', '-o', 'jsonpath={.items[*].status.images[*].names}'], env)
  const absent = targets.filter((target) => !nodes.said.includes(`${repository}/${target}:${tag}`))
  if (absent.length === 0) return
  const names = absent.map((target) => `${repository}/${target}:${tag}`).join(', ')
  process.stderr.write(`no node has ${names}: they will be pulled; --image-loader builds and loads them\n`)
}

function ran(program, args, env) {
  return new Promise((resolve) =>
    execFile(program, args, { env, timeout: 20_000, maxBuffer: 1 << 24 }, (error, out, err) =>
      resolve({ ok: !error, said: error ? String(err || error.message).trim() : out }),
    ),
  )
}
