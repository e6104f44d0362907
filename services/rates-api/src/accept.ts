/** The first of our types that the caller names in `Accept`; the first of ours for everyone else. */
export function preferred<T extends string>(accept: string | undefined, types: Readonly<Record<T, string>>): T {
  const ours = Object.entries(types) as [T, string][]
  for (const range of (accept ?? '').split(',')) {
    const type = range.split(';')[0]!.trim().toLowerCase()
    const named = ours.find(([, each]) => each === type)
    if (named) return named[0]
  }
  return ours[0]![0]
}
