import { createHmac } from 'node:crypto'

// By https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

export const SECRET_RULE = 'is a file that does not hold whsec_ and the base64 of 24 to 64 bytes'

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/

/**
 * A file's secrets, of which there may be several between white space: while a secret is changed the receiver may know
 * either. @throws RangeError that tells nothing of them
 */
export function readKeys(text: string): Buffer[] {
  return text.trim().split(/\s+/).map(readKey)
}

function readKey(secret: string): Buffer {
  const base64 = SECRET.exec(secret)?.[1] ?? ''
  const key = Buffer.from(base64, 'base64')
  // What is no base64 to the last letter is skipped in silence: it would be another key than the receiver's.
  const same = key.toString('base64').replaceAll('=', '') === base64.replaceAll('=', '')
  if (!same || key.length < 24 || key.length > 64) throw new RangeError(`WEBHOOK_SECRET_FILE ${SECRET_RULE}`)
  return key
}

/** The three headers of an attempt. Without a key there is no signature. @param at milliseconds since 1970 */
export function webhookHeaders(id: string, at: number, body: string, keys: readonly Buffer[]): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000))
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    ...(signatures.length > 0 && { 'webhook-signature': signatures.join(' ') }),
  }
}
