import { useEffect, useState } from 'preact/hooks'
import { current, subscribe, type Session } from './session.ts'

export function useSession(): Session {
  const [session, set] = useState(current)
  useEffect(() => {
    const update = (): void => set(current())
    update()
    return subscribe(update)
  }, [])
  return session
}
