import { useEffect, useState } from 'preact/hooks'

/** What a canvas is drawn with; it knows no style sheet. */
export interface Colors {
  text: string
  line: string
  accent: string
  accentBack: string
  warn: string
}

function read(): Colors {
  const style = getComputedStyle(document.documentElement)
  const named = (name: string): string => style.getPropertyValue(name).trim()
  return {
    text: named('--soft'),
    line: named('--line'),
    accent: named('--accent'),
    accentBack: named('--accent-back'),
    warn: named('--warn'),
  }
}

/** The style sheet's colours, again when the scheme changes. */
export function useColors(): Colors {
  const [colors, set] = useState(read)
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const change = (): void => set(read())
    dark.addEventListener('change', change)
    return () => dark.removeEventListener('change', change)
  }, [])
  return colors
}
