/** What `node --cpu-prof` writes, as far as it is read here. */
export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  /** Microseconds of the machine's monotonic clock, as process.hrtime() has it. */
  startTime: number
  /** Microseconds before each sample. */
  timeDeltas: number[]
}

/** What is no work: waiting, and the profile's own frames. */
const IDLE = new Set(['(idle)', '(program)', '(root)'])

/**
 * Time that each function took itself from `since` on (of the profile's clock), in microseconds, the longest first;
 * `total` is that of all that is work.
 */
export function selfTimes(
  { nodes, samples, startTime, timeDeltas }: CpuProfile,
  since = 0,
): {
  total: number
  functions: { name: string; micros: number }[]
} {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const micros = new Map<string, number>()
  let total = 0
  let now = startTime
  samples.forEach((id, i) => {
    const name = names.get(id) ?? '?'
    const took = timeDeltas[i] ?? 0
    now += took
    if (now < since || IDLE.has(name)) return
    total += took
    micros.set(name, (micros.get(name) ?? 0) + took)
  })
  const functions = [...micros].map(([name, took]) => ({ name, micros: took })).sort((a, b) => b.micros - a.micros)
  return { total, functions }
}

/** `parseCsv libs/rates/dist/csv.js:34`; of packages from their name on. */
function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName || '(anonymous)'
  if (url === '') return name
  const parts = url.split('/')
  const from = parts.lastIndexOf('node_modules')
  const place = from >= 0 ? parts.slice(from + 1) : parts.slice(-4)
  return `${name} ${place.join('/')}:${lineNumber + 1}`
}
