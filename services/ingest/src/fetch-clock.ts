import { type StageSeconds } from '@rates/core/bottleneck'
import { type ConsumerWatch } from '@rates/service/kafka-consumer'
import { StateClock } from '@rates/service/state-clock'

/** The longest that a broker keeps a fetch waiting where it has nothing (kafka-consumer.ts), and a bit less. */
const LONG_POLL_MILLISECONDS = 200
const FORGET_MILLISECONDS = 1_000

type State = 'busy' | 'idle' | 'downstream' | 'broker'

/**
 * The clock of fetching. A worker's lanes are one worker of this stage, or a lane that is idle would hide that the other
 * one waits. It is blocked on its downstream while records are in hand; on the broker while it waits for a commit, or for
 * a fetch though records lie in its partitions or the broker holds it back by a quota, behind which records may lie that
 * nobody knows of; busy while it reads an answer; idle otherwise.
 */
export class FetchClock {
  private readonly clock: StateClock<State>
  private readonly now: () => number
  private readonly lanes = new Set<LaneWatch>()

  constructor(now: () => number = () => performance.now()) {
    this.now = now
    this.clock = new StateClock<State>('idle', now)
  }

  /** What the consumer of one lane is to be watched by. */
  lane(events?: LaneEvents): LaneWatch {
    const lane = new LaneWatch(() => this.update(), this.now, events)
    this.lanes.add(lane)
    return lane
  }

  /** Whether records are in hand, or are known to lie in our partitions. */
  get isWaiting(): boolean {
    return [...this.lanes].some(({ inHand, isBehind }) => inHand > 0 || isBehind)
  }

  read(): StageSeconds {
    const states = this.clock.read()
    const of = (state: State): number => states.get(state) ?? 0
    return { busy: of('busy'), idle: of('idle'), blocked: { downstream: of('downstream'), broker: of('broker') } }
  }

  private update(): void {
    const any = (is: (lane: LaneWatch) => boolean): boolean => [...this.lanes].some(is)
    if (any(({ inHand }) => inHand > 0)) this.clock.set('downstream')
    else if (any(({ commits }) => commits > 0)) this.clock.set('broker')
    else if (any(({ reading }) => reading)) this.clock.set('busy')
    else this.clock.set(any((lane) => lane.isBehind || lane.isThrottled) ? 'broker' : 'idle')
  }
}

export interface LaneEvents {
  /** Records came; `fetchSeconds`: what their fetch took, with the first of them. */
  records(bytes: number, fetchSeconds: number | undefined): void
  /** Something came, was finished, or is tried again. */
  progress(): void
}

export class LaneWatch implements ConsumerWatch {
  /** Records that wait to be handled, or are. */
  inHand = 0
  commits = 0
  /** True while an answer is read. */
  reading = false
  private readonly behind = new Map<number, number>()
  private tookAt = -Infinity
  private throttledUntil = -Infinity
  /** When the fetch that is on its way began. */
  private waitsSince = Infinity
  private fetchSeconds: number | undefined
  private readonly onChange: () => void
  private readonly now: () => number
  private readonly events: LaneEvents | undefined

  constructor(onChange: () => void, now: () => number, events?: LaneEvents) {
    this.onChange = onChange
    this.now = now
    this.events = events
  }

  /** Whether records are known to lie in our partitions that were not fetched yet. */
  get isBehind(): boolean {
    for (const records of this.behind.values()) if (records > 0) return true
    return false
  }

  /** Whether the broker holds back what was asked of it; until it answers, that is why. */
  get isThrottled(): boolean {
    return this.waitsSince < this.throttledUntil
  }

  assigned(partitions: readonly number[]): void {
    for (const partition of this.behind.keys()) if (!partitions.includes(partition)) this.behind.delete(partition)
    this.events?.progress()
    this.onChange()
  }

  fetching(): void {
    this.reading = false
    this.waitsSince = this.now()
    this.onChange()
  }

  answered(milliseconds: number): void {
    this.reading = true
    // A broker that kept us waiting as long as it may had nothing for us: what we had heard of was no record for us,
    // but a mark of a transaction, say.
    const knownAt = Math.max(this.tookAt, this.throttledUntil)
    if (milliseconds >= LONG_POLL_MILLISECONDS && this.now() - knownAt > FORGET_MILLISECONDS) this.behind.clear()
    this.onChange()
  }

  fetched(milliseconds: number): void {
    this.reading = false
    this.waitsSince = Infinity
    this.fetchSeconds = milliseconds / 1000
    this.onChange()
  }

  took(partition: number, records: readonly { value: Uint8Array | null }[], behind: number): void {
    this.behind.set(partition, behind)
    this.tookAt = this.now()
    const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    // A fetch counts once, with the first partition that it brought something of.
    this.events?.records(bytes, this.fetchSeconds)
    this.fetchSeconds = undefined
    this.events?.progress()
  }

  handling(change: 1 | -1): void {
    this.inHand += change
    if (change === -1) this.events?.progress()
    this.onChange()
  }

  committing(change: 1 | -1): void {
    this.commits += change
    this.onChange()
  }

  throttled(milliseconds: number): void {
    this.throttledUntil = Math.max(this.throttledUntil, this.now() + milliseconds)
    this.onChange()
  }

  retried(): void {
    this.events?.progress()
  }
}
