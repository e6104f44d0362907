/** Aborts when something takes too long. Whoever reads what comes may take all the time there is (`| less`). */
export class Silence {
  readonly signal: AbortSignal
  private readonly over = new AbortController()
  private readonly most: number

  constructor(most: number) {
    this.most = most
    this.signal = this.over.signal
  }

  async during<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.over.abort(new Error('it sends nothing')), this.most)
    try {
      return await work
    } finally {
      clearTimeout(timer)
    }
  }
}
