/**
 * The results of some work, in the order of what it is done on. At most `most` are begun and not taken; while nothing
 * more comes in, what is done comes out.
 */
export async function* inOrder<A, B>(
  source: AsyncIterable<A>,
  most: number,
  work: (item: A) => Promise<B>,
): AsyncGenerator<B> {
  const items = source[Symbol.asyncIterator]()
  const going: Promise<B>[] = []
  let reading: Promise<{ read: IteratorResult<A> }> | undefined
  let over = false
  try {
    for (;;) {
      if (!over && going.length < most) reading ??= items.next().then((read) => ({ read }))
      const first = going[0]?.then((result) => ({ result }))
      const racing = [reading, first].filter((each) => each !== undefined)
      if (racing.length === 0) return
      const won = await Promise.race<{ read: IteratorResult<A> } | { result: B }>(racing)
      if ('result' in won) {
        void going.shift()
        yield won.result
      } else {
        reading = undefined
        over = won.read.done === true
        if (won.read.done) continue
        const begun = work(won.read.value)
        begun.catch(() => undefined) // it is told when its turn comes
        going.push(begun)
      }
    }
  } finally {
    reading?.catch(() => undefined)
    if (!over) void items.return?.()
  }
}
