/** What a histogram exports beside its own name. */
const SUFFIXES = /_(bucket|count|sum)$/

/** Names of metrics that PromQL asks for, those of recording rules (`rates:…`) among them; histograms by their base. */
export function metricsIn(expr: string): Set<string> {
  const withoutStrings = expr.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  const names = withoutStrings.match(/\b(?:rates:[\w:]+|(?:rates|http|nodejs|process)_\w+)(?=\s*[[{),\s]|$)/g) ?? []
  const labels = /^http_(route|request_method|response_status_code)$/
  return new Set(
    names.filter((name) => !labels.test(name)).map((name) => (isHistogram(name) ? name.replace(SUFFIXES, '') : name)),
  )
}

/** rates:hidden_batches:count is none, nor is a counter of counts. */
const isHistogram = (name: string): boolean => !name.includes(':') && SUFFIXES.test(name)
