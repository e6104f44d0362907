/**
 * Resolves when the work has ended, well or badly, or after `seconds` where it hangs: for closing what is given up anyway
 * (kafkajs' disconnect knows no limit).
 */
export async function within(seconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, seconds * 1000)))
  await Promise.race([work.catch(() => undefined), limit])
  clearTimeout(timer)
}
