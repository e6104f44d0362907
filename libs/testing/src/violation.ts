/** An invariant of the platform that does not hold; the numbers are those of docs/architecture.md. */
export interface Violation {
  invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6'
  /** The batch's id, or null where it is none's alone. */
  batch: string | null
  message: string
}
