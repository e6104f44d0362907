import { createHash } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { withTransaction } from '@rates/service/postgres'
import { type NestFastifyApplication } from '@nestjs/platform-fastify'
import { type Pool } from 'pg'
import { ClaimStore, type Claim } from './claim-store.ts'

/** Content of so many bytes, no two parts of which are alike. */
export function claimContent(bytes: number): Buffer {
  const lines: string[] = []
  for (let length = 0, line = 0; length < bytes; line++) {
    lines.push(`${line},CNSGH,NLRTM,2021-01-01,${(line * 7919) % 5000}\n`)
    length += lines[line]!.length
  }
  return Buffer.from(lines.join('')).subarray(0, bytes)
}

/** As a query's answer comes: in pieces of no particular size. */
export async function* inPieces(content: Uint8Array, size = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield await Promise.resolve(content.subarray(at, at + size))
}

export const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

/** Puts content away and seals it. */
export async function putSealed(
  { app, pool }: { app: NestFastifyApplication; pool: Pool },
  content: Uint8Array,
  contentType = 'text/csv',
): Promise<Claim> {
  const claims = app.get(ClaimStore)
  const claim = await claims.put(inPieces(content), { contentType })
  await withTransaction(pool, (client) => claims.seal(client, [claim]))
  return claim
}

/** A caller who has got the head of an answer and takes nothing more, until it resumes. */
export function pausedReader(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (answer) => resolve(answer.pause())).once('error', reject)
  })
}

/** All of an answer's body. @throws where the connection ended before it did */
export async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of answer) pieces.push(piece as Buffer)
  if (!answer.complete) throw new Error('aborted') // before anybody listened
  return Buffer.concat(pieces)
}
