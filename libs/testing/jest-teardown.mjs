// Stops what jest-setup.mjs has started.
import { once } from 'node:events'

export default async function teardown() {
  const servers = globalThis.ratesTestServers
  if (servers === undefined || servers.exitCode !== null) return
  const exit = once(servers, 'exit')
  servers.stdin.end()
  await exit
}
