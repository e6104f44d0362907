import { S3Client } from '@aws-sdk/client-s3'
import { Agent as HttpAgent, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions } from 'node:https'
import { type Duplex } from 'node:stream'
import { freshFile } from './fresh-file.ts'
import { type S3Settings } from './open-object-store.ts'

export interface S3Limits {
  /** For a connection to come about, and for one of ours to become free. */
  connectMs: number
  /** Without a byte in either direction. */
  idleMs: number
  /** How often a reading that broke is taken up again without a byte in between. */
  tries: number
  /** Before a broken reading is taken up: times the number of its failures. */
  pauseMs: number
}

export const DEFAULT_LIMITS: S3Limits = { connectMs: 5000, idleMs: 30_000, tries: 5, pauseMs: 500 }

/** Connections that are kept for what comes next. More are made while more is under way. */
const SPARE_SOCKETS = 2
const MOST_SOCKETS = 32

export function connectS3({ endpoint, region, credentials, caFile }: S3Settings, limits: S3Limits): S3Client {
  const sockets = { keepAlive: true, maxSockets: MOST_SOCKETS, maxFreeSockets: SPARE_SOCKETS }
  return new S3Client({
    region,
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      socketTimeout: limits.idleMs,
      httpAgent: new HttpAgent(sockets),
      httpsAgent: caFile === undefined ? new HttpsAgent(sockets) : new TrustingAgent(sockets, freshFile(caFile)),
    },
    // Of a part of an object there is no checksum, and not every store takes those that newer SDKs send along. What we
    // store is covered by the request's signature.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials && { credentials: typeof credentials === 'function' ? anew(credentials) : credentials }),
  })
}

/** The SDK asks again for credentials that are about to expire, and keeps all others for good. */
const anew = (read: () => { accessKeyId: string; secretAccessKey: string }) => () =>
  Promise.resolve({ ...read(), expiration: new Date() })

/** Trusts a CA whose certificate may be replaced while we run. */
class TrustingAgent extends HttpsAgent {
  readonly #ca: () => string
  constructor(options: AgentOptions, ca: () => string) {
    super(options)
    this.#ca = ca
  }
  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    return super.createConnection({ ...options, ca: this.#ca() } as RequestOptions, callback)
  }
}
