import { type Stage, type StageSeconds, type WaitingFor } from '@rates/core/bottleneck'
import { StateClock } from '@rates/service/state-clock'
import { type Waiting } from '@rates/service/watched-pool'

/** How long a sample of what PostgreSQL waits for holds, where none comes after it: they come once a second. */
const SAMPLE_HOLDS_MILLISECONDS = 5_000

type State<S extends Stage> = 'off' | 'idle' | `${S} ${'busy' | WaitingFor}`

export interface LoopClockOptions<S extends Stage> {
  /** In the order in which a turn goes through them. */
  stages: readonly S[]
  /** Told of each stay in a stage. */
  onLeft?: (stage: S, seconds: number) => void
  /** Milliseconds by a clock that never goes back. */
  now?: () => number
}

/**
 * The clock of a loop that takes its turns through one or several stages. The stage in which it is, is busy or waits;
 * those before it are blocked on their downstream, those after it are idle, and all are while there is nothing to do.
 */
export class LoopClock<S extends Stage> {
  private readonly clock: StateClock<State<S>>
  private readonly stages: readonly S[]
  private readonly now: () => number
  private readonly onLeft: (stage: S, seconds: number) => void
  private stage: S | undefined
  private enteredAt = 0
  private readonly waits: WaitingFor[] = []
  private locked = false
  private sampledAt = -Infinity
  private running = true

  constructor({ stages, onLeft = () => undefined, now = () => performance.now() }: LoopClockOptions<S>) {
    this.stages = stages
    this.onLeft = onLeft
    this.now = now
    this.clock = new StateClock<State<S>>('idle', now)
  }

  /** The loop is in this stage from now on. */
  enter(stage: S): void {
    if (stage === this.stage && this.running) return
    this.leave()
    this.running = true
    this.stage = stage
    this.enteredAt = this.now()
    this.update()
  }

  /** There is nothing to do. */
  rest(): void {
    this.leave()
    this.running = true
    this.update()
  }

  /** The loop is not this process's: until it is, its time does not count. */
  off(): void {
    this.leave()
    this.running = false
    this.update()
  }

  get isOn(): boolean {
    return this.running
  }

  /** In a stage the loop is blocked while the promise is pending. */
  readonly waiting: Waiting = async <T>(on: WaitingFor, promise: Promise<T>): Promise<T> => {
    this.waits.push(on)
    this.update()
    try {
      return await promise
    } finally {
      this.waits.splice(this.waits.lastIndexOf(on), 1)
      this.update()
    }
  }

  /** True while it is the database that the loop waits for, and not for a connection to it. */
  get inDatabase(): boolean {
    return this.stage !== undefined && this.waits.at(-1) === 'db'
  }

  /**
   * What a look at PostgreSQL told while the loop waited for it: whether that is for a lock. It holds for this wait and
   * the following ones until the next look, so that the parts of the samples are the parts of the time: counters cannot
   * be corrected afterwards.
   */
  sample(locked: boolean): void {
    this.locked = locked
    this.sampledAt = this.now()
    this.update()
  }

  read(): Record<S, StageSeconds> {
    const states = this.clock.read()
    const of = (state: State<S>): number => states.get(state) ?? 0
    const own = this.stages.map((stage) => ({
      busy: of(`${stage} busy`),
      db: of(`${stage} db`),
      db_lock: of(`${stage} db_lock`),
      pool: of(`${stage} pool`),
      broker: of(`${stage} broker`),
    }))
    const sum = (stages: typeof own): number =>
      stages.reduce((all, { busy, db, db_lock, pool, broker }) => all + busy + db + db_lock + pool + broker, 0)
    const seconds = own.map(({ busy, ...blocked }, i): [S, StageSeconds] => [
      this.stages[i]!,
      {
        busy,
        idle: of('idle') + sum(own.slice(0, i)),
        blocked: { ...blocked, downstream: sum(own.slice(i + 1)) },
      },
    ])
    return Object.fromEntries(seconds) as Record<S, StageSeconds>
  }

  private leave(): void {
    if (this.stage !== undefined) this.onLeft(this.stage, (this.now() - this.enteredAt) / 1000)
    this.stage = undefined
  }

  private update(): void {
    const { stage } = this
    if (stage === undefined) return this.clock.set(this.running ? 'idle' : 'off')
    const on = this.waits.at(-1)
    if (on !== 'db') return this.clock.set(`${stage} ${on ?? 'busy'}`)
    const held = this.locked && this.now() - this.sampledAt < SAMPLE_HOLDS_MILLISECONDS
    this.clock.set(`${stage} ${held ? 'db_lock' : 'db'}`)
  }
}
