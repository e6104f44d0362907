import { useEffect, useState } from 'preact/hooks'
import { serverNow } from './clock.ts'

/** The service's time, once a second: for what is told as time from now. */
export function useNow(): number {
  const [now, set] = useState(serverNow)
  useEffect(() => {
    const timer = setInterval(() => set(serverNow()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
