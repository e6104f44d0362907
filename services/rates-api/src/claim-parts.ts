import { compress, inflate } from '@rates/service/compression'
import { partsOf } from '@rates/service/object-parts'
import { type Pool } from 'pg'
import { Slots } from './slots.ts'

/** Of content in a part: small enough for sixteen readers at once, large enough that a round trip is worth it. */
export const PART_BYTES = 256 << 10
/** Parts that are fetched side by side, whoever reads: the pool's other connections are for those who ask for rates. */
const FETCHES_AT_ONCE = 2

/** Nothing is added to what was removed, or is being removed just now. */
const ADD = `
insert into claim_parts (claim_id, part, content)
select id, $2::int, $3::bytea from claims where id = $1 and removed_at is null for share`

const READ = { name: 'claim part', text: 'select content from claim_parts where claim_id = $1 and part = $2' }

/** A claim, or what it stands for, is not there any more. */
export class ClaimGone extends Error {
  constructor(what: string) {
    super(`${what} of a claim is gone`)
    this.name = 'ClaimGone'
  }
}

/**
 * Content in PostgreSQL, as frames of zstd in rows of their own. No connection is held from one part to the next: neither
 * a writer whose content comes slowly nor a reader who takes it slowly keeps one from others.
 */
export class ClaimParts {
  readonly #pool: Pool
  readonly #fetches = new Slots(FETCHES_AT_ONCE)

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Each part is stored as it comes. @throws ClaimGone where the claim's row is not there any more */
  async write(id: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    let part = 0
    for await (const { bytes } of partsOf(content, PART_BYTES)) {
      if (bytes.length === 0) continue // the last one of what ends where a part does
      const frame = await compress(bytes, 'zstd')
      const { rowCount } = await this.#pool.query(ADD, [id, part, frame])
      if (rowCount === 0) throw new ClaimGone('the row')
      part++
    }
  }

  /** A part at a time, when the one before was taken. @throws ClaimGone, BadEncoding */
  async *read(id: string, bytes: number): AsyncGenerator<Uint8Array> {
    let read = 0
    for (let part = 0; read < bytes; part++) {
      await this.#fetches.take()
      const content = await this.#fetch(id, part).finally(() => this.#fetches.giveBack())
      read += content.length
      yield content
    }
  }

  async #fetch(id: string, part: number): Promise<Buffer> {
    const { rows } = await this.#pool.query<{ content: Buffer }>({ ...READ, values: [id, part] })
    if (rows[0] === undefined) throw new ClaimGone(`part ${part}`)
    return inflate(rows[0].content, 'zstd', PART_BYTES)
  }
}
