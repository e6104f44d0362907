const oneKeyMs = 500

/**
 * Calls `first` at the first request to stop and `second` at the next Ctrl-C. npm passes on a Ctrl-C that the terminal
 * has sent to us already, so what comes within an instant counts as one; and a terminal that closes brings SIGHUP, then
 * SIGTERM from starters that end one by one, which is no haste.
 */
export function onStopRequest(first: (why: string) => void, second: () => void): void {
  let last: number | undefined
  const request = (why: string) => {
    const before = last
    last = Date.now()
    if (before === undefined) first(why)
    else if (why === 'SIGINT' && last - before > oneKeyMs) second()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => request(signal))
  const parent = Number(process.env['RATES_PARENT'])
  if (!parent || process.ppid !== parent) return
  // Whoever started us was killed: nobody could stop us with it.
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    request('its starter has gone')
  }, 1000)
  watch.unref()
}
