import { failpoint } from '@rates/service/failpoints'
import { type Logger } from '@rates/service/log'
import { NoSuchObject, type ObjectPlace, type ObjectStore, type PinnedVersion } from '@rates/service/object-store'
import { unlessAborted } from '@rates/service/s3-faults'
import type pg from 'pg'
import { type ObjectMetrics } from './object-metrics.ts'

/** Requests to the store under way. */
const AT_ONCE = 10
const FIRST_PAUSE_SECONDS = 5
const LONGEST_PAUSE_SECONDS = 3_600
/** An attempt that fails so long after the batch ended is the last one: we may not be allowed to tag. */
const GIVE_UP_AFTER_DAYS = 1

const tagsOf = (state: string, batchId: string): Record<string, string> => ({
  'rates-state': state,
  'rates-batch': batchId,
})

/** Says on an object that it is being loaded. Never rejects, and lasts no longer than its signal lets it: nothing depends on it. */
export async function tagLoading(
  store: Pick<ObjectStore, 'head' | 'tag'>,
  { bucket, key }: ObjectPlace,
  { etag, versionId }: PinnedVersion,
  batchId: string,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const place = { bucket, key }
  const tag = async (): Promise<void> => {
    const found = await store.head(place, versionId)
    if (found.etag === etag && !signal.aborted) await store.tag(place, tagsOf('loading', batchId), versionId, signal)
  }
  await unlessAborted(tag(), signal).catch((error: unknown) => log.debug({ err: error }, 'could not tag an object'))
}

interface DueTag {
  no: bigint
  bucket: string
  key: string
  versionId: string | null
  etag: string | null
  batchId: string
  state: string
}

// now() and not clock_timestamp(), which no index is searched by.
const DUE = `
select o.no, o.bucket, o.object_key as key, o.version_id as "versionId", o.etag, b.id as "batchId",
  case when exists (select from object_loads q where q.batch_no = b.no and q.quarantined) then 'quarantined'
    when b.state in ('failed', 'cancelled') then b.state else 'succeeded' end as state
from object_loads o join batches b on b.no = o.batch_no
where o.tag_at <= now() and o.bucket = any($1) and b.state <> 'open' order by o.tag_at limit ${AT_ONCE}`

const DONE = 'update object_loads set tag_at = null where no = $1'

const FAILED = `
update object_loads set tag_attempts = tag_attempts + 1,
  tag_at = case when ended_at > clock_timestamp() - make_interval(days => ${GIVE_UP_AFTER_DAYS})
    then clock_timestamp() + make_interval(secs => least(${FIRST_PAUSE_SECONDS} * 2 ^ least(tag_attempts, 20), ${LONGEST_PAUSE_SECONDS})) end
where no = $1 returning tag_at is null as "givenUp"`

/** Tells on objects what became of their batches, for whoever sorts them; whatever fails of it is done again. */
export class ObjectTags {
  private readonly pool: pg.Pool
  private readonly store: Pick<ObjectStore, 'head' | 'tag'>
  private readonly buckets: readonly string[]
  private readonly metrics: Pick<ObjectMetrics, 'tags'>
  private readonly log: Logger

  constructor(
    pool: pg.Pool,
    store: Pick<ObjectStore, 'head' | 'tag'>,
    buckets: readonly string[],
    metrics: Pick<ObjectMetrics, 'tags'>,
    log: Logger,
  ) {
    this.pool = pool
    this.store = store
    this.buckets = buckets
    this.metrics = metrics
    this.log = log
  }

  /** @returns how many were due */
  async runOnce(): Promise<number> {
    const { rows } = await this.pool.query<DueTag>({ name: 'tags-due', text: DUE, values: [this.buckets] })
    await Promise.all(rows.map((due) => this.tag(due)))
    return rows.length
  }

  private async tag(due: DueTag): Promise<void> {
    try {
      const isSet = await this.set(due)
      await this.pool.query(DONE, [due.no])
      if (isSet) this.metrics.tags.inc({ outcome: 'set' })
    } catch (error) {
      const { rows } = await this.pool.query<{ givenUp: boolean }>(FAILED, [due.no])
      const about = { err: error, bucket: due.bucket, key: due.key, batch_id: due.batchId }
      this.metrics.tags.inc({ outcome: 'failed' })
      if (!rows[0]?.givenUp) return this.log.debug(about, 'could not tag an object, trying again later')
      this.metrics.tags.inc({ outcome: 'given_up' })
      this.log.warn(about, 'an object could not be tagged with what became of its batch')
    }
  }

  /** @returns false where there is nothing to tag: the object is gone, or another one by now, or was never met */
  private async set({ bucket, key, versionId, etag, batchId, state }: DueTag): Promise<boolean> {
    if (etag === null) return false
    const place = { bucket, key }
    const version = versionId ?? undefined
    try {
      if ((await this.store.head(place, version)).etag !== etag) return false
      failpoint('before-tag')
      await this.store.tag(place, tagsOf(state, batchId), version)
      return true
    } catch (error) {
      if (error instanceof NoSuchObject) return false
      throw error
    }
  }
}
