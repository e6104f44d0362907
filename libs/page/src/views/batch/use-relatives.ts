import { type Batch } from '@rates/core/batch'
import { useEffect, useState } from 'preact/hooks'
import { readJson, type BatchPage } from '../../api.ts'

export interface Relatives {
  /** What the list has of the batch, while its own stream may say nothing yet; null: nothing, undefined: not asked yet. */
  listed: Batch | null | undefined
  /** Batches that have its records again. */
  retries: readonly Batch[]
  /** The dry run of the batch, or the batch of the dry run. */
  twin: Batch | undefined
}

const ask = async (query: Record<string, string>, signal: AbortSignal): Promise<Batch[]> =>
  (await readJson<BatchPage>(`batches?${new URLSearchParams(query)}`, signal)).batches

/** The batches that have to do with this one; none while they are not known. */
export function useRelatives(id: string, dryRun: boolean, state: Batch['state'] | undefined): Relatives {
  const [retries, setRetries] = useState<readonly Batch[]>([])
  const [twin, setTwin] = useState<Batch>()
  const [listed, setListed] = useState<Batch | null>()
  useEffect(() => {
    const left = new AbortController()
    const { signal } = left
    // They are an addition: whether the service answers is told elsewhere.
    ask({ q: id, limit: '20' }, signal).then(
      (found) => {
        const named = found.filter((each) => each.id === id)
        setListed(named.find((each) => each.dryRun === dryRun) ?? null)
        setTwin(named.find((each) => each.dryRun !== dryRun))
      },
      () => undefined,
    )
    if (!dryRun) {
      ask({ retryOf: id, limit: '20' }, signal).then(
        (found) => setRetries(found.filter(({ retryOf }) => retryOf === id)),
        () => undefined,
      )
    }
    return () => left.abort()
  }, [id, dryRun, state])
  return { listed, retries, twin }
}
