import { Problem } from './problem.ts'

/** Seconds after which it is worth asking again for a batch that has not ended, or is not there yet. */
export const AGAIN = '1'

export function noBatch(id: string): Problem {
  return new Problem(404, `There is no batch ${named(id)}.`)
}

/** Somebody may just have sent it. */
export function notSeenYet(id: string, hint = ''): Problem {
  return new Problem(404, `There is no batch ${named(id)}${hint}.`, {
    extensions: { code: 'not_seen_yet' },
    headers: { 'retry-after': AGAIN },
  })
}

const named = (id: string): string => JSON.stringify(id.slice(0, 128))
