/**
 * What an answer holds that is too large for a record: where its content lies, for how long, and how to know that it is
 * whole. docs/wire.md is the same for people.
 */
export interface ClaimCheck {
  /** Of the HTTP API; relative where the platform does not know its own address. */
  url: string
  /** Of the content. */
  contentType: string
  bytes: number
  /** Of the content, in lower-case hex. */
  sha256: string
  /** RFC 3339, UTC. */
  expiresAt: string
}

/** The content type of a record that holds a ClaimCheck. */
export const CLAIM_TYPE = 'application/vnd.rates.claim+json'
