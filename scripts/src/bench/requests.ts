import { fork } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type QueryParameters } from '@rates/core/rates-query'
import { type Sample } from './load-model.ts'
import { spread, type Spread } from './numbers.ts'
import { type Answer, type Work } from './requester.ts'
import { benchCodes, seeded } from './rows.ts'

const program = fileURLToPath(new URL(`./requester${path.extname(import.meta.url)}`, import.meta.url))

export interface Requests {
  /** Ends it before its time. */
  stop(): void
  answer: Promise<Answer>
}

/** Starts a process that sends requests; resolves when the time that counts begins. @throws what it met */
export function startRequests(work: Work): Promise<Requests> {
  return new Promise((resolve, reject) => {
    const child = fork(program, { serialization: 'advanced' })
    let fail = reject
    const answer = new Promise<Answer>((answered, failed) => {
      child.on('message', (message: 'started' | Answer | { failed: string }) => {
        if (message === 'started') {
          fail = failed
          resolve({ stop: () => void (child.connected && child.send('stop')), answer })
        } else if ('failed' in message) fail(new Error(message.failed))
        else answered(message)
      })
      child.once('error', (error) => fail(error))
      child.once('exit', (code) => fail(new Error(`the requests' process ended with ${String(code)}`)))
    })
    answer.catch(() => undefined) // told to who waits for it
    child.send(work)
  })
}

/** Sends requests and waits for all answers. */
export async function request(work: Work): Promise<Answer & { spread: Spread; perSecond: number }> {
  const { answer } = await startRequests(work)
  const measured = await answer
  return { ...measured, spread: spreadOf(measured.samples), perSecond: measured.samples.length / measured.seconds }
}

export const spreadOf = (samples: readonly Sample[]): Spread => spread(samples.map((each) => each.ms))

/** Months as `YYYY-MM`, from the one told, `count` of them. */
export function monthsFrom(year: number, month: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => new Date(Date.UTC(year, month - 1 + i, 1)).toISOString().slice(0, 7))
}

/** Reads of a month of one pair each, both by chance but the same in each run. */
export function monthReads(count: number, months: readonly string[], codes: readonly string[] = benchCodes) {
  const random = seeded(7)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  return Array.from({ length: count }, () => {
    const orig = pick(codes)
    return monthRead(orig, pick(codes.filter((code) => code !== orig)), pick(months))
  })
}

export function monthRead(orig: string, dest: string, month: string): QueryParameters {
  const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5, 7)), 0)).getUTCDate()
  return { date_from: `${month}-01`, date_to: `${month}-${last}`, orig_code: orig, dest_code: dest }
}
