import { type BatchErrorCode } from '@rates/core/batch'
import { RowTooLong } from '@rates/core/chunk-cutter'
import { EmptyBatch, TooManyChunks } from '@rates/service/cut-batch'
import { isTransientOfStore, NoSuchObject, ObjectChanged, StoreFault, StoreRefused } from '@rates/service/object-store'
import { kafkaWord } from '@rates/service/kafka-faults'
import { ObjectMismatch, ObjectUnreadable, OtherObject, UnusableName } from './object-content.ts'

/** Stores that are eventually consistent, and claims that overtake their object. */
export const NOT_FOUND_SECONDS = 5
const FIRST_PAUSE_SECONDS = 0.5
const LONGEST_PAUSE_SECONDS = 30
/** Credentials that were mended are to be noticed soon. */
const REFUSED_PAUSE_SECONDS = 2
const CRASH_PAUSE_SECONDS = 10
const LONGEST_CRASH_PAUSE_SECONDS = 300

/** What is known of a load when a fault meets it. */
export interface Standing {
  /** Since it was taken for the first time. */
  sinceStarted: number
  /** Since the store began to refuse us; null: it did not before. */
  sinceRefused: number | null
  /** How often it was put off. */
  waits: number
  /** Loaders that it ended, and this one. */
  attempts: number
  /** The object was there when it was looked at this time. */
  wasThere: boolean
}

export type WaitReason = 'store' | 'refused' | 'not_found' | 'denied'

/** `fail`: for good. `wait`: it may pass. `crash`: nobody foresaw it, and it counts as a loader that did not come back. */
export type Judgement =
  | { kind: 'fail'; code: BatchErrorCode; message: string }
  | { kind: 'wait'; reason: WaitReason; seconds: number; note: string }
  | { kind: 'crash'; seconds: number; note: string }

/** What a fault means for a load. @param refusedSeconds how long a store may refuse our credentials */
export function judge(error: unknown, standing: Standing, refusedSeconds: number): Judgement {
  const message = error instanceof Error ? error.message : String(error)
  const fail = (code: BatchErrorCode, told = message): Judgement => ({ kind: 'fail', code, message: told })
  const wait = (reason: WaitReason, seconds: number): Judgement => ({ kind: 'wait', reason, seconds, note: message })
  const { sinceStarted, sinceRefused, waits, attempts, wasThere } = standing
  if (error instanceof NoSuchObject) {
    if (wasThere) return fail('object_not_found', `${message} any more`)
    return sinceStarted < NOT_FOUND_SECONDS ? wait('not_found', pauseSeconds(waits, 1)) : fail('object_not_found')
  }
  if (error instanceof UnusableName) return fail('object_not_found')
  // What a store does not understand, as a region that is not its own, is mended in our settings, too.
  if (error instanceof StoreRefused || (error instanceof StoreFault && !error.isTransient)) {
    return (sinceRefused ?? 0) < refusedSeconds
      ? wait('refused', Math.min(REFUSED_PAUSE_SECONDS, refusedSeconds))
      : fail('object_refused', `${message}, for ${Math.round(sinceRefused ?? 0)} s`)
  }
  if (error instanceof ObjectChanged || error instanceof OtherObject) return fail('object_changed')
  if (error instanceof ObjectMismatch) return fail('object_mismatch')
  if (error instanceof ObjectUnreadable || error instanceof RowTooLong) return fail('object_unreadable')
  if (error instanceof EmptyBatch || error instanceof TooManyChunks) return fail('object_unreadable')
  if (isTransientOfStore(error)) return wait('store', pauseSeconds(waits))
  if (isDenied(error)) return wait('denied', pauseSeconds(waits))
  return { kind: 'crash', seconds: crashPauseSeconds(attempts), note: message }
}

/** Kafka or PostgreSQL does not let us: a grant is missing. No object is the cause, and somebody has to mend it. */
function isDenied(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { code, name, cause } = error as Partial<Record<'code' | 'name' | 'cause', unknown>>
  if (code === '42501' || name === 'KafkaJSSASLAuthenticationError') return true
  return kafkaWord(error)?.endsWith('_AUTHORIZATION_FAILED') || isDenied(cause)
}

/** Whatever it was may be over in minutes, and what is set aside is not taken up again. */
function crashPauseSeconds(attempts: number): number {
  const longest = Math.min(CRASH_PAUSE_SECONDS * 6 ** Math.max(attempts - 1, 0), LONGEST_CRASH_PAUSE_SECONDS)
  return longest / 2 + Math.random() * (longest / 2)
}

/** Half of it random, lest all that failed together comes back in step. */
export function pauseSeconds(waits: number, most = LONGEST_PAUSE_SECONDS): number {
  const longest = Math.min(FIRST_PAUSE_SECONDS * 2 ** Math.min(waits, 20), most)
  return longest / 2 + Math.random() * (longest / 2)
}
