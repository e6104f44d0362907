import { createHash } from 'node:crypto'
import { type ClaimCheck } from '@rates/core/claim-check'
import { ApiFailure, openApi, unreachable } from './api.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { count } from './progress.ts'
import { Silence } from './silence.ts'
import { utc } from './text.ts'

/** Nothing for so long, while it is waited for, means that nothing comes. */
const SILENCE_MILLISECONDS = 60_000

/** Reads what an answer says of the place of its content. @throws CommandFailure where it is no claim check */
export function readClaim(value: Uint8Array): ClaimCheck {
  let claim: Partial<ClaimCheck> | null = null
  try {
    claim = JSON.parse(Buffer.from(value).toString()) as Partial<ClaimCheck> | null
  } catch {
    // told below
  }
  const { url, bytes, sha256, contentType, expiresAt } = claim ?? {}
  const whole =
    typeof url === 'string' &&
    typeof contentType === 'string' &&
    typeof expiresAt === 'string' &&
    Number.isSafeInteger(bytes) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256)
  if (!whole) throw new CommandFailure(EXIT.unreachable, 'The answer is a claim check that this version cannot read.')
  return { url, contentType, bytes: bytes!, sha256, expiresAt }
}

/** Where the content lies. @param api the API's URL, which relative ones stand behind @throws CommandFailure */
export function claimPlace({ url }: ClaimCheck, api: string | undefined): { url: string; path: string } {
  if (URL.canParse(url)) {
    const { origin, pathname, search } = new URL(url)
    return { url: origin, path: pathname + search }
  }
  if (api !== undefined) return { url: api, path: url }
  const said = 'The answer is too large for a record and is fetched from the API'
  throw new CommandFailure(EXIT.unreachable, `${said}, which is not known here: give --url, or set RATES_URL.`)
}

/**
 * The content that a claim check stands for. It throws CommandFailure at its end if it is not what was promised: what has
 * come until then counts for nothing. The signal's reason, when that is aborted.
 */
export async function* fetchClaim(
  claim: ClaimCheck,
  api: string | undefined,
  signal: AbortSignal,
  silenceMs = SILENCE_MILLISECONDS,
): AsyncGenerator<Uint8Array> {
  const place = claimPlace(claim, api)
  const { url } = place
  const silence = new Silence(silenceMs)
  const over = AbortSignal.any([signal, silence.signal])
  const body = await open(place, claim, silence, over, signal)
  const reader = body?.getReader()
  const digest = createHash('sha256')
  let bytes = 0
  try {
    for (;;) {
      const read = await (reader && silence.during(reader.read()))
      if (!read || read.done) break
      bytes += read.value.length
      if (bytes > claim.bytes) throw damaged(url, `it has more than ${count(claim.bytes)} bytes`)
      digest.update(read.value)
      yield read.value
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof CommandFailure ? error : unreachable(url, error)
  } finally {
    await reader?.cancel().catch(() => undefined) // whoever reads may have had enough
  }
  if (bytes < claim.bytes) throw damaged(url, `it has ${count(bytes)} bytes, not ${count(claim.bytes)}`)
  if (digest.digest('hex') !== claim.sha256) throw damaged(url, 'its sha256 is another')
}

async function open(
  { url, path }: { url: string; path: string },
  claim: ClaimCheck,
  silence: Silence,
  over: AbortSignal,
  signal: AbortSignal,
): Promise<Response['body']> {
  try {
    return (await silence.during(openApi(url, path, { headers: { accept: '*/*' }, signal: over }))).body
  } catch (error) {
    signal.throwIfAborted()
    if (silence.signal.aborted) throw unreachable(url, silence.signal.reason)
    if (!(error instanceof ApiFailure)) throw error
    throw explainRefusal(error, claim)
  }
}

function explainRefusal(error: ApiFailure, { expiresAt }: ClaimCheck): CommandFailure {
  const { status } = error
  if (status === 410 || (status === 404 && Date.parse(expiresAt) < Date.now())) {
    const said = `The answer was kept until ${utc(expiresAt)} and is gone: ask once more.`
    return new CommandFailure(EXIT.refused, said, error)
  }
  if (status !== 404) return error
  const said = 'The API does not know the answer that was put away: is it that of the platform that was asked?'
  return new CommandFailure(EXIT.refused, said, error)
}

const damaged = (url: string, how: string): CommandFailure =>
  new CommandFailure(EXIT.unreachable, `What the API at ${url} sends is not what the answer promised: ${how}.`)
