import { Findings, type Finding } from './finding.ts'

export const SERVICES = 'services'

export interface ServiceFacts {
  name: string
  /** Where its probes are. */
  url: string
  /** Undefined: it does not answer. */
  ready: boolean | undefined
  /** Why it is not ready, in its own words. */
  why: string | undefined
  version: string | undefined
  /** Packs of pair-months with many, as merging counted them in its last round; undefined: it does not merge. */
  crowdedPacks: number | undefined
}

export interface ApiFacts {
  url: string
  version: string | undefined
  fault: string | undefined
}

const ANSWER_MILLISECONDS = 5_000

/** Asks a service's probe and metrics; never throws. */
export async function askService(name: string, url: string): Promise<ServiceFacts> {
  const signal = (): AbortSignal => AbortSignal.timeout(ANSWER_MILLISECONDS)
  try {
    const answer = await fetch(`${url}/readyz`, { signal: signal() })
    const body = (await answer.json().catch(() => ({}))) as { error?: Record<string, { message?: string }> }
    const why = Object.entries(body.error ?? {}).map(([what, { message }]) => `${what}: ${message ?? 'fails'}`)
    const metrics = await fetch(`${url}/metrics`, { signal: signal() })
    const text = await metrics.text()
    const version = /^rates_build_info\{[^}]*version="([^"]*)"/m.exec(text)?.[1]
    const crowded = /^rates_merge_crowded_packs (\d+)/m.exec(text)?.[1]
    const crowdedPacks = crowded === undefined ? undefined : Number(crowded)
    return { name, url, ready: answer.ok, why: answer.ok ? undefined : why.join(', '), version, crowdedPacks }
  } catch (error) {
    return { name, url, ready: undefined, why: reasonOf(error), version: undefined, crowdedPacks: undefined }
  }
}

/** Asks the API where its callers do; never throws. */
export async function askApi(url: string): Promise<ApiFacts> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MILLISECONDS)
    const document = await fetch(`${url}/openapi.json`, { signal })
    const { info } = (await document.json()) as { info?: { version?: string } }
    const answer = await fetch(`${url}/batches?limit=1`, { signal })
    const fault = answer.ok
      ? undefined
      : `GET /batches answers ${answer.status}: ${(await answer.text()).slice(0, 200)}`
    return { url, version: info?.version, fault }
  } catch (error) {
    return { url, version: undefined, fault: reasonOf(error) }
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return inner instanceof Error ? inner.message : message
}

/** What is right and wrong with the processes; reads nothing but the facts. */
export function judgeServices(api: ApiFacts | undefined, services: readonly ServiceFacts[]): Finding[] {
  const findings = new Findings(SERVICES)
  if (api?.fault !== undefined) {
    findings.fault('API', `${api.url}: ${api.fault}`, 'Is it running (npm start), and does RATES_URL name it?')
  } else if (api) findings.ok('API', `${api.url}, version ${api.version ?? 'unknown'}`)
  else findings.warning('API', 'not looked at: nobody said where it is', 'Set RATES_URL.')
  for (const { name, url, ready, why, version } of services) {
    if (ready === true) findings.ok(name, `ready, version ${version ?? 'unknown'}`)
    else if (ready === undefined) findings.fault(name, `${url} does not answer: ${why}`, `Look into its log.`)
    else findings.fault(name, `not ready: ${why}`, 'It says what it waits for; see the faults above.')
  }
  const versions = new Set(
    [api?.version, ...services.map(({ version }) => version)].filter((each) => each !== undefined),
  )
  if (versions.size > 1) {
    findings.warning(
      'versions',
      `several run: ${[...versions].join(', ')}`,
      'During a rollout that is as it should be; else roll out all.',
    )
  }
  return findings.all
}
