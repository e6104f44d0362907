import { readFile, writeFile } from 'node:fs/promises'

const TICKS = 100 // of a second, in Linux's /proc

const status = (pid: number): Promise<string> => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')

const bytesOf = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024

/** The highest RSS that a process has had (VmHWM); 0 where there is no /proc. */
export const peakBytes = async (pid: number): Promise<number> => bytesOf(await status(pid), 'VmHWM')

/** From here on peakBytes tells the highest since now. */
export const forgetPeak = (pid: number): Promise<void> =>
  writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => undefined)

/** Time that a process took of a core, in all its threads. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS
}

export async function children(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

/** A server of several processes: what each has for itself, and what they share counted once. */
async function treeBytes(pid: number): Promise<number> {
  const texts = await Promise.all([pid, ...(await children(pid))].map(status))
  const own = texts.reduce((sum, text) => sum + bytesOf(text, 'RssAnon'), 0)
  return own + Math.max(...texts.map((text) => bytesOf(text, 'RssShmem') + bytesOf(text, 'RssFile')))
}

/** Highest memory of each part, in bytes, while something was measured; 0 where there is no /proc. */
export interface Peaks {
  /** Of the worker that took most. */
  worker: number
  /** The server and all of its backends. */
  postgres: number
  broker: number
}

/** Watches memory from now until the function that it returns is called. */
export async function watchMemory(watched: {
  workers: readonly number[]
  postgres: number
  broker: number
}): Promise<() => Promise<Peaks>> {
  const { workers, postgres, broker } = watched
  await Promise.all([...workers, broker].map(forgetPeak))
  let highest = 0
  const sample = async (): Promise<void> => void (highest = Math.max(highest, await treeBytes(postgres)))
  const timer = setInterval(() => void sample(), 100)
  return async () => {
    clearInterval(timer)
    await sample()
    return {
      worker: Math.max(0, ...(await Promise.all(workers.map(peakBytes)))),
      postgres: highest,
      broker: await peakBytes(broker),
    }
  }
}
