import { csv, ndjson, sha256Hex, type TestBatch } from '@rates/testing/batches'

/** What a route answered. */
export interface Answer {
  status: number
  retryAfter: string | null
  location: string | null
  body: Record<string, unknown>
}

/** An uploader for tests, of the API that answers at a URL. */
export class ChunkClient {
  url: string

  constructor(url: string) {
    this.url = url
  }

  async send(method: string, path: string, body?: Uint8Array | string, headers: object = {}): Promise<Answer> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...headers },
      ...(body !== undefined && { body: body as string }),
    })
    const text = await answer.text()
    return {
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      location: answer.headers.get('location'),
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    }
  }

  open(id: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('PUT', `/batches/${id}`, undefined, headers)
  }

  put(id: string, chunk: number | string, body: Uint8Array | string, headers: object = {}): Promise<Answer> {
    const sent = { 'content-type': 'text/csv', ...headers }
    return this.send('PUT', `/batches/${id}/chunks/${chunk}`, body, sent)
  }

  /** The statuses of chunks that are sent at once, by their numbers. */
  async putAll(id: string, chunks: readonly Part[], headers: object = {}): Promise<number[]> {
    const answers = await Promise.all(
      chunks.map(({ chunk, body, type, rows }) =>
        this.put(id, chunk, body, { 'content-type': type, rows: String(rows), sha256: sha256Hex(body), ...headers }),
      ),
    )
    return answers.map(({ status }) => status)
  }

  complete(id: string, chunks: number, query = ''): Promise<Answer> {
    return this.send('POST', `/batches/${id}/complete?chunks=${chunks}${query}`)
  }

  chunks(id: string, query = ''): Promise<Answer> {
    return this.send('GET', `/batches/${id}/chunks${query}`)
  }
}

export interface Part {
  chunk: number
  body: Buffer
  rows: number
  type: 'text/csv' | 'application/x-ndjson'
}

/** A batch cut into equal chunks. */
export function partsOf(batch: TestBatch, count: number, format: 'csv' | 'ndjson' = 'csv'): Part[] {
  const { lines } = batch
  return Array.from({ length: count }, (_, chunk) => {
    const part = lines.slice(
      Math.floor((lines.length * chunk) / count),
      Math.floor((lines.length * (chunk + 1)) / count),
    )
    return format === 'csv'
      ? { chunk, body: csv(part), rows: part.length, type: 'text/csv' }
      : { chunk, body: ndjson(part), rows: part.length, type: 'application/x-ndjson' }
  })
}
