import { readFileSync } from 'node:fs'

/**
 * A small file that somebody replaces while we run, as Kubernetes does with a Secret's: each call reads it anew. A line
 * end at its end is no part of it. While it cannot be read, what it last held counts; at first it has to be there.
 */
export function freshFile(path: string): () => string {
  const read = (): string => readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  let last = read()
  return () => {
    try {
      last = read()
    } catch {
      // The next call tries again.
    }
    return last
  }
}

/** An object whose `ca` is the file's content whenever somebody looks: both clients copy it at each new connection. */
export function trustedCa(path: string): { readonly ca: string } {
  const read = freshFile(path)
  return {
    get ca() {
      return read()
    },
  }
}
