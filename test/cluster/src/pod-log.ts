import { get, type RequestOptions } from 'node:https'
import { createInterface } from 'node:readline'
import { type Kube } from './kube.ts'

/**
 * Follows the log of a container to its end, a line at a time. (The client's own way ends the process where the
 * connection breaks.) @returns what ends it earlier
 */
export async function followLog(
  { config }: Kube,
  pod: { namespace: string; name: string; container: string },
  on: { line: (line: string) => void; end: (failed: boolean) => void },
): Promise<() => void> {
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/log?follow=true&container=${pod.container}`
  const request = get(new URL(path, config.getCurrentCluster()!.server), options, (response) => {
    if (response.statusCode !== 200) {
      response.resume()
      return on.end(true)
    }
    const lines = createInterface({ input: response })
    lines.on('line', on.line)
    lines.on('error', () => lines.close()) // what breaks the connection off is told here
    lines.once('close', () => on.end(false))
  })
  request.once('error', () => on.end(true))
  return () => request.destroy()
}
