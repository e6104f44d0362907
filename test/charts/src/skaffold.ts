/** What the tests read of skaffold.yaml. */
export interface Skaffold {
  build: { artifacts: Artifact[] }
  deploy: { helm: { releases: Release[] } }
  portForward?: { resourceName: string; port: number; localPort: number }[]
  profiles: (Partial<Omit<Skaffold, 'profiles'>> & { name: string; patches?: Patch[] })[]
}

interface Artifact {
  image: string
  docker: { dockerfile: string; target: string }
  sync?: { hooks: { after: { container: { command: string[] } }[] } }
}

export interface Release {
  name: string
  chartPath: string
  namespace: string
  valuesFiles: string[]
  setValues: Record<string, string | number | boolean>
  setValueTemplates?: Record<string, string>
}

interface Patch {
  op: string
  path: string
  value?: unknown
}

/** The configuration under a profile, as Skaffold makes it: sections take the place of others, then come the patches. */
export function applyProfile(skaffold: Skaffold, name: string): Skaffold {
  const profile = name === '' ? {} : skaffold.profiles.find((each) => each.name === name)!
  const { build, deploy, portForward, patches = [] } = profile as Skaffold['profiles'][number]
  const made = structuredClone({
    ...skaffold,
    ...(build && { build }),
    ...(deploy && { deploy }),
    ...(portForward && { portForward }),
  })
  patches.forEach((each) => patch(made, each))
  return made
}

function patch(config: object, { op, path, value }: Patch): void {
  const keys = path.slice(1).split('/')
  const last = keys.pop()!
  let at = config as Record<string, unknown>
  for (const key of keys) {
    at = at[key] as Record<string, unknown>
    if (at === undefined) throw new Error(`${path}: there is no ${key}`)
  }
  if (op !== 'add' && !(last in at)) throw new Error(`${path}: nothing to ${op}`)
  if (op === 'remove') delete at[last]
  else at[last] = value
}
