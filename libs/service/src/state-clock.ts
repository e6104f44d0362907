/** Sums up how long something was in each of its states. It is always in exactly one, so all sums add up to the time. */
export class StateClock<State extends string> {
  private current: State
  private since: number
  private readonly sums = new Map<State, number>()
  private readonly now: () => number

  /** @param now milliseconds by a clock that never goes back */
  constructor(first: State, now: () => number = () => performance.now()) {
    this.current = first
    this.now = now
    this.since = now()
  }

  get state(): State {
    return this.current
  }

  set(state: State): void {
    if (state === this.current) return
    const now = this.now()
    this.sums.set(this.current, this.milliseconds(this.current) + now - this.since)
    this.since = now
    this.current = state
  }

  /** Seconds of each state that it has been in, with what is going on now. */
  read(): Map<State, number> {
    const seconds = new Map<State, number>()
    for (const [state, sum] of this.sums) seconds.set(state, sum / 1000)
    const going = this.milliseconds(this.current) + this.now() - this.since
    return seconds.set(this.current, going / 1000)
  }

  private milliseconds(state: State): number {
    return this.sums.get(state) ?? 0
  }
}
