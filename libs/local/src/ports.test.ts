import { afterEach, describe, expect, it } from '@jest/globals'
import { createServer, type Server } from 'node:net'
import { anyFreePort, isFree, nextFreePort } from './ports.ts'

describe('ports', () => {
  const servers: Server[] = []
  const occupy = (port: number, host: string) =>
    new Promise<void>((resolve, reject) => {
      const server = createServer().once('error', reject)
      servers.push(server)
      server.listen(port, host, resolve)
    })
  afterEach(() => Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))))

  it('gives the preferred port where it is free', async () => {
    const port = await anyFreePort()
    expect(await isFree(port)).toBe(true)
    expect(await nextFreePort(port)).toBe(port)
  })

  it.each(['127.0.0.1', '0.0.0.0'])('passes over a port on which somebody listens at %s', async (host) => {
    const port = await anyFreePort()
    await occupy(port, host)
    expect(await isFree(port)).toBe(false)
    expect(await nextFreePort(port)).toBeGreaterThan(port)
  })

  it('passes over a port that was promised to somebody else', async () => {
    const port = await anyFreePort()
    expect(await nextFreePort(port, new Set([port]))).toBeGreaterThan(port)
  })
})
