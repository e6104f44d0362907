import { createServer } from 'node:net'

/** Whether nobody listens on the port: neither on that address nor on all of them. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return (await listen(port, host)) !== undefined
}

/** The preferred port, or the next higher one that is free and not among `taken`. */
export async function nextFreePort(preferred: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  const last = Math.min(preferred + 1000, 65_535)
  for (let port = preferred; port <= last; port++) {
    if (!taken.has(port) && (await isFree(port))) return port
  }
  throw new Error(`none of the ports ${preferred} to ${last} is free`)
}

/** A port that the system finds free now. Another process may take it before it is used: be ready to ask again. */
export async function anyFreePort(): Promise<number> {
  const port = await listen(0, '127.0.0.1')
  if (port === undefined) throw new Error('the system has no free port')
  return port
}

function listen(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined)
      else reject(error)
    })
    server.listen(port, host, () => {
      const address = server.address()
      const bound = address !== null && typeof address === 'object' ? address.port : port
      server.close(() => resolve(bound))
    })
  })
}
