/** One line of what Prometheus scrapes. */
export interface Sample {
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g

export async function readMetrics(url: string): Promise<Sample[]> {
  return parseMetrics(await (await fetch(url)).text())
}

/** The samples of Prometheus' text format; what is escaped in a label stays so. */
export function parseMetrics(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value] = /^([^{ ]+)(?:\{(.*)\})? (\S+)(?: \d+)?$/.exec(line) ?? []
      const pairs = [...labels.matchAll(LABEL)].map(([, key, text]) => [key, text])
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) }
    })
}

/** The sum of all series of that name with these labels. */
export const sum = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((all, { value }) => all + value, 0)
