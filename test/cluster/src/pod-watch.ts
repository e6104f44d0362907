import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { makeInformer, type V1Pod } from '@kubernetes/client-node'
import { type Kube } from './kube.ts'
import { followLog } from './pod-log.ts'

/** What was seen of a pod; times are milliseconds since 1970. */
export interface PodStory {
  name: string
  /** `api`, `ingest`, `migrate`, or what else its label says. */
  component: string
  created: number
  ready?: number
  /** When it was told to end, in whole seconds. */
  deleted?: number
  /** When its process said that it stops, and that it has stopped. */
  stopping?: number
  stopped?: number
  /** When its container ended, in whole seconds. */
  ended?: number
  exitCode?: number
  restarts: number
  gone?: number
}

export interface PodWatch {
  pods: Map<string, PodStory>
  /** Warnings about pods that were not let in. */
  stop(): Promise<void>
}

/** Follows the pods of a release, from now on, and keeps their logs as the files of a folder. */
export async function watchPods(kube: Kube, namespace: string, instance: string, folder: string): Promise<PodWatch> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const pods = new Map<string, PodStory>()
  const following = new Map<string, () => void>()
  const labelSelector = `app.kubernetes.io/instance=${instance}`
  const list = () => kube.core.listNamespacedPod({ namespace, labelSelector })
  const informer = makeInformer(kube.config, `/api/v1/namespaces/${namespace}/pods`, list, labelSelector)
  let stopped = false

  const follow = (story: PodStory, container: string, restarts: number): void => {
    const key = `${story.name}-${restarts}`
    if (following.has(key)) return
    following.set(key, () => undefined) // what stops it comes with the answer
    const file = createWriteStream(path.join(folder, `${key}.log`))
    const line = (text: string): void => {
      file.write(`${text}\n`)
      noteLine(story, text)
    }
    const end = (failed: boolean): void => {
      file.end()
      if (failed) following.delete(key) // not there yet: the pod's next change tries again
    }
    followLog(kube, { namespace, name: story.name, container }, { line, end }).then(
      (stop) => following.set(key, stop),
      () => end(true),
    )
  }

  const take = (pod: V1Pod): void => {
    const name = pod.metadata!.name!
    const story = pods.get(name) ?? storyOf(pod)
    pods.set(name, story)
    note(story, pod)
    const container = pod.spec!.containers[0]!.name
    const state = pod.status?.containerStatuses?.find((status) => status.name === container)
    if (state?.state?.running ?? state?.state?.terminated) follow(story, container, state!.restartCount)
  }
  informer.on('add', take)
  informer.on('update', take)
  informer.on('delete', (pod) => {
    take(pod)
    pods.get(pod.metadata!.name!)!.gone = Date.now()
  })
  informer.on('error', () => {
    if (!stopped) setTimeout(() => void informer.start().catch(() => undefined), 500).unref()
  })
  await informer.start()
  return {
    pods,
    async stop() {
      stopped = true
      await informer.stop()
      for (const stop of following.values()) stop()
    },
  }
}

function storyOf(pod: V1Pod): PodStory {
  const { name, labels, creationTimestamp } = pod.metadata!
  return {
    name: name!,
    component: labels?.['app.kubernetes.io/component'] ?? '',
    created: timeOf(creationTimestamp!),
    restarts: 0,
  }
}

/** In lists the client makes dates of them; in what a watch tells they are still text. */
const timeOf = (date: Date | string): number => new Date(date).getTime()

function note(story: PodStory, pod: V1Pod): void {
  const { metadata, status } = pod
  if (metadata?.deletionTimestamp !== undefined) {
    // The API server writes the end of the grace period.
    story.deleted ??= timeOf(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000
  }
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  if (ready?.status === 'True') story.ready ??= timeOf(ready.lastTransitionTime ?? new Date())
  const container = status?.containerStatuses?.find(({ name }) => name === pod.spec!.containers[0]!.name)
  if (!container) return
  story.restarts = Math.max(story.restarts, container.restartCount)
  const { terminated } = container.state ?? {}
  if (terminated?.finishedAt === undefined) return
  story.ended = timeOf(terminated.finishedAt)
  story.exitCode = terminated.exitCode
}

/** The services' logs are JSON, a line each. */
function noteLine(story: PodStory, line: string): void {
  if (!line.includes('"stopp')) return
  try {
    const { time, msg } = JSON.parse(line) as { time: string | number; msg: string }
    if (msg === 'stopping') story.stopping = new Date(time).getTime()
    if (msg.startsWith('stopped')) story.stopped = new Date(time).getTime()
  } catch {
    // Not one of ours.
  }
}
