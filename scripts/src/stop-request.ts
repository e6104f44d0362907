import { EXIT } from './exit.ts'
import { onStopRequest } from './signals.ts'

/** Aborts when the person wants it to stop; when that is asked for once more, the process ends as it is, after `leave`. */
export function stopRequest(leave: () => void = () => undefined): AbortSignal {
  const stop = new AbortController()
  onStopRequest(
    () => stop.abort(),
    () => {
      leave()
      process.exit(EXIT.interrupted)
    },
  )
  return stop.signal
}
