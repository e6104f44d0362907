import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { valueAt } from './documented-values.ts'
import { program } from './programs.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const file = join(root, 'kind-config.yaml')

interface KindConfig {
  nodes: {
    role: string
    labels?: Record<string, string>
    extraPortMappings?: { hostPort: number; containerPort: number }[]
  }[]
}
const { nodes } = parse(readFileSync(file, 'utf8')) as KindConfig

beforeAll(() => program('kind'), 600_000)

/** kind reads its configuration, refusing what it does not know, before it looks for Docker, which it will not find. */
async function whatKindSays(text: string): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: 'unix:///nonexistent', KIND_EXPERIMENTAL_PROVIDER: 'docker' }
  const kind = run(await program('kind'), ['create', 'cluster', '--config', '-'], { env })
  kind.child.stdin!.end(text)
  return kind.then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  )
}

it('is a configuration that kind accepts', async () => {
  const text = readFileSync(file, 'utf8')
  expect(await whatKindSays(text)).toMatch(/failed to get docker info|docker.*not found/)
  expect(await whatKindSays(text.replace('extraPortMappings', 'portMappings'))).toContain('unable to decode config')
})

it('has three workers, each in a zone of its own', () => {
  const zones = nodes
    .filter(({ role }) => role === 'worker')
    .map(({ labels }) => labels!['topology.kubernetes.io/zone'])
  expect(new Set(zones).size).toBe(3)
})

it('leads to the ports of the charts', () => {
  const mapped = new Map(
    nodes.flatMap((node) => (node.extraPortMappings ?? []).map((each) => [each.hostPort, each.containerPort])),
  )
  const dev = parse(readFileSync(join(root, 'charts/rates-dev/values.yaml'), 'utf8')) as unknown
  const rates = parse(readFileSync(join(root, 'k8s/environments/dev/rates.yaml'), 'utf8')) as unknown
  const broker = valueAt(dev, 'kafka.external.nodePort') as number
  expect(Object.fromEntries(mapped)).toMatchObject({
    8080: valueAt(rates, 'api.service.nodePort'),
    9090: valueAt(dev, 'monitoring.prometheus.nodePort'),
    3000: valueAt(dev, 'monitoring.grafana.nodePort'),
    // Clients come back to the port that a broker tells, which is its NodePort.
    [broker]: broker,
    [broker + 1]: broker + 1,
    [broker + 2]: broker + 2,
  })
})
