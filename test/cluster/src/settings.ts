import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Where charts and images are; `npm run e2e:cluster -- --help` tells all of these settings. */
export interface ClusterSettings {
  /** The images' tag. */
  tag: string
  /** What stands before `/rates-api`, `/ingest` and `/tools`. */
  repository: string
  /** Where NodePorts are reached; told by the cluster unless set. */
  node: string | undefined
  /** Where pods reach this machine; told by the cluster where this machine is its first node. */
  host: string | undefined
  /** Ports of the nodes that are free; the defaults are those that kind-config.yaml maps. */
  ports: { api: number; kafka: number; postgres: number }
  /** Builds an image and brings it to the nodes: `COMMAND TAG DOCKERFILE CONTEXT [build arguments]`. */
  imageLoader: string | undefined
  /** Installations stay for a look at them. */
  keep: boolean
  /** Writes docs/rollouts.md and its plot. */
  report: boolean
  /** How many `helm upgrade`s follow one another. */
  upgrades: number
  /** Where pods' logs and results go. */
  results: string
}

export function clusterSettings(env: NodeJS.ProcessEnv = process.env): ClusterSettings {
  const upgrades = Number(env['CLUSTER_UPGRADES'] ?? 20)
  if (!Number.isInteger(upgrades) || upgrades < 1) throw new Error('CLUSTER_UPGRADES is a whole number above 0')
  const [api, kafka, postgres] = (env['CLUSTER_NODE_PORTS'] || '30080,30092,30432').split(',').map(Number)
  if (!api || !kafka || !postgres) throw new Error('CLUSTER_NODE_PORTS is three ports, as 30080,30092,30432')
  return {
    ports: { api, kafka, postgres },
    tag: env['CLUSTER_TAG'] || 'dev',
    repository: env['CLUSTER_REPOSITORY'] || 'rates',
    node: env['CLUSTER_NODE'] || undefined,
    host: env['CLUSTER_HOST'] || undefined,
    imageLoader: env['CLUSTER_IMAGE_LOADER'] || undefined,
    keep: env['CLUSTER_KEEP'] === '1',
    report: env['CLUSTER_REPORT'] === '1',
    upgrades,
    results: env['CLUSTER_RESULTS'] || path.join(root, '.rates', 'cluster'),
  }
}
