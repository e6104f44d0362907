/** A place of the page; paths are relative to where the service begins. */
export type Route =
  | { view: 'overview' }
  | { view: 'batches'; query: URLSearchParams }
  | { view: 'batch'; id: string; dryRun: boolean }
  | { view: 'upload' }
  | { view: 'explore'; query: URLSearchParams }
  | { view: 'unknown' }

export function locate(path: string, query: URLSearchParams): Route {
  const parts = path.split('/')
  const [first = '', second = ''] = parts
  if (parts.length === 2 && first === 'batches' && second !== '') {
    return { view: 'batch', id: decode(second), dryRun: query.get('dryRun') === 'true' }
  }
  if (parts.length > 1) return { view: 'unknown' }
  switch (first) {
    case '':
      return { view: 'overview' }
    case 'batches':
      return { view: 'batches', query }
    case 'upload':
      return { view: 'upload' }
    case 'explore':
      return { view: 'explore', query }
    default:
      return { view: 'unknown' }
  }
}

/** The address of a batch's page. */
export const batchPath = ({ id, dryRun }: { id: string; dryRun: boolean }): string =>
  `batches/${encodeURIComponent(id)}${dryRun ? '?dryRun=true' : ''}`

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
