import { readdir, readFile } from 'node:fs/promises'
import { type V1Pod } from '@kubernetes/client-node'
import { kubectl, run } from './programs.ts'

/** How a container was killed, for the report. */
export type Killed = 'SIGKILL on the node' | 'SIGKILL on the node, by docker exec' | 'deleted by force'

/**
 * What kills the first container of a pod with SIGKILL at once, where the test can reach its node: this machine, or a
 * node of kind. Elsewhere the pod is deleted by force, which gives its process no time to speak of.
 */
export async function killer(pod: V1Pod): Promise<() => Promise<Killed>> {
  const { name, namespace, uid } = pod.metadata!
  const pid = await processOf(uid!)
  if (pid !== undefined) {
    return () => {
      process.kill(pid, 'SIGKILL')
      return Promise.resolve('SIGKILL on the node')
    }
  }
  const inNode = (command: string): Promise<string> => run('docker', ['exec', pod.spec!.nodeName!, 'sh', '-c', command])
  const id = pod.status!.containerStatuses![0]!.containerID!.replace(/^.*\/\//, '')
  const inspect = `crictl inspect --output go-template --template '{{.info.pid}}' ${id}`
  const theirs = await inNode(inspect).catch(() => undefined)
  return async () => {
    if (theirs !== undefined) {
      await inNode(`kill -9 ${theirs.trim()}`)
      return 'SIGKILL on the node, by docker exec'
    }
    await kubectl(['delete', 'pod', name!, '-n', namespace!, '--grace-period=0', '--force', '--wait=false'])
    return 'deleted by force'
  }
}

/** A process of node that belongs to the pod, if this machine is the pod's node. */
async function processOf(uid: string): Promise<number | undefined> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const [group, command] = await Promise.all(
      ['cgroup', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    )
    const ours = group!.includes(uid) || group!.includes(uid.replaceAll('-', '_'))
    if (ours && command!.split('\0')[0]!.endsWith('node')) return Number(pid)
  }
  return undefined
}
