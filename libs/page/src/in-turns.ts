/** Does it for each, so many at once. @returns what came of those that did not fail */
export async function inTurns<T, R>(
  all: readonly T[],
  atOnce: number,
  each: (one: T) => Promise<R>,
): Promise<Awaited<R>[]> {
  const results: Awaited<R>[] = []
  for (let from = 0; from < all.length; from += atOnce) {
    const answers = await Promise.allSettled(all.slice(from, from + atOnce).map(each))
    results.push(...answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])))
  }
  return results
}
