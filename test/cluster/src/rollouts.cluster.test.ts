import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line, type Watched } from '@rates/testing/line'
import { check, told, type Checked } from './check.ts'
import { DEV_RELEASE, firstAnswer, install, RELEASE, type Installation } from './installation.ts'
import { killer } from './kill.ts'
import { evict, isReady, podsOf } from './kube.ts'
import { produce } from './load/batches.ts'
import { LOAD, startConstantLoad, type ConstantLoad } from './load/constant-load.ts'
import { loadBatch, month, remembered } from './load/load-batch.ts'
import { drainTimes, figuresOf, reasons, Timeline } from './phases.ts'
import { watchPods, type PodWatch } from './pod-watch.ts'
import { helm, kubectl } from './programs.ts'
import { eventsTable, podsTable, saveResults, totalsTable, writeReport, type RolloutResults } from './report.ts'
import { asText } from '@rates/scripts/bench/table'

// Everything that happens to an installation in its life, one after the other, while reads, uploads and batches come from
// outside the cluster at a constant rate. The last tests judge what became of them.

const NAMESPACE = 'rates-e2e-rollouts'
const QUIET_SECONDS = Number(process.env['CLUSTER_QUIET_SECONDS'] ?? 60)

let installed: Installation
let line: Line
let replies: Watched
let pods: PodWatch
let load: ConstantLoad
/** Made before anything is sent: that takes a while. */
const interrupted = loadBatch('interrupted', { rows: 1_000_000, seed: 4, month: month(1970, 6) })
const timeline = new Timeline((line) => process.stderr.write(`${line}\n`))

beforeAll(async () => {
  installed = await install(NAMESPACE)
  await installed.rolledOut()
  const { databaseUrl, brokers, apiUrl, kube, settings } = installed
  line = await startLine({ databaseUrl, brokers, prefix: '' })
  replies = await line.watch(line.topics.replies)
  await firstAnswer(installed, 'date_from=2000-01-01&date_to=2000-01-02&orig_code=CNGGZ&dest_code=NLRTM')
  pods = await watchPods(kube, NAMESPACE, RELEASE, path.join(settings.results, 'logs'))
  load = startConstantLoad(apiUrl, line)
}, 600_000)

afterAll(async () => {
  await pods?.stop()
  await line?.close()
  await installed?.close()
}, 300_000)

const of = (component: string): Record<string, string> => ({
  'app.kubernetes.io/instance': RELEASE,
  'app.kubernetes.io/component': component,
})
const readyPods = async (component: string) => (await podsOf(installed.kube, NAMESPACE, of(component))).filter(isReady)
const readyAgain = (component: string, count: number): Promise<unknown> =>
  eventually(async () => (await readyPods(component)).length >= count, {
    within: 180_000,
    every: 250,
    what: `${count} ready pods of ${component}`,
  })

/** Deletes or evicts each pod that there is now, the next one once all are ready again. */
async function eachInTurn(end: (pod: string) => Promise<unknown>): Promise<string> {
  let ended = 0
  for (const component of ['api', 'ingest']) {
    const names = (await readyPods(component)).map((pod) => pod.metadata!.name!)
    for (const name of names) {
      await end(name)
      await readyAgain(component, names.length)
      ended++
    }
  }
  return `${ended} pods`
}

async function restart(component: string): Promise<string> {
  const target = `statefulset/${DEV_RELEASE}-${component}`
  await kubectl(['rollout', 'restart', target, '-n', NAMESPACE])
  await kubectl(['rollout', 'status', target, '-n', NAMESPACE, '--timeout=240s'])
  await installed.rolledOut()
  await sleep(10_000) // what it broke shows now
  return ''
}

describe('under a constant load', () => {
  it('nothing happens at first', () => timeline.during('nothing', () => sleep(QUIET_SECONDS * 1000)), 120_000)

  it('upgrades follow one another', async () => {
    const { upgrades } = installed.settings
    await timeline.during(`${upgrades} upgrades in a row`, async () => {
      for (let i = 1; i <= upgrades; i++) {
        await installed.upgrade([`api.podAnnotations.upgrade=n${i}`, `ingest.podAnnotations.upgrade=n${i}`])
      }
    })
  }, 2_400_000)

  it('an upgrade to an image that never turns ready leaves the old pods at work, and is rolled back', async () => {
    await timeline.during('upgrade to an image that never turns ready', async () => {
      const before = await Promise.all(['api', 'ingest'].map(readyPods))
      await installed.upgrade(['image.tag=never-built'], { wait: false })
      await sleep(30_000)
      const after = await Promise.all(['api', 'ingest'].map(readyPods))
      expect(
        after
          .flat()
          .map((pod) => pod.metadata!.name)
          .sort(),
      ).toEqual(
        before
          .flat()
          .map((pod) => pod.metadata!.name)
          .sort(),
      )
      await helm(['rollback', RELEASE, '-n', NAMESPACE])
      await installed.rolledOut()
    })
  }, 300_000)

  it('a rollback to an earlier revision', async () => {
    await timeline.during('rollback to an earlier revision', async () => {
      const history = JSON.parse(await helm(['history', RELEASE, '-n', NAMESPACE, '-o', 'json'])) as {
        revision: number
      }[]
      const to = Math.max(1, history.at(-1)!.revision - 3) // the last three: the bad one, its rollback, the last upgrade
      await helm(['rollback', RELEASE, String(to), '-n', NAMESPACE])
      await installed.rolledOut()
      return `to revision ${to}`
    })
  }, 300_000)

  it('every pod is deleted in turn', async () => {
    await timeline.during('every pod deleted in turn', () =>
      eachInTurn((name) => kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--wait=false'])),
    )
  }, 600_000)

  it('every pod is evicted in turn, never two of a kind at once', async () => {
    await timeline.during('every pod evicted in turn', async () => {
      let refused = 0
      const evicted = await eachInTurn((name) => evict(installed.kube, NAMESPACE, name))
      for (const component of ['api', 'ingest']) {
        const both = (await readyPods(component)).map((pod) => pod.metadata!.name!)
        for (const name of both) refused += await evict(installed.kube, NAMESPACE, name)
        await readyAgain(component, both.length)
      }
      expect(refused).toBeGreaterThan(0)
      return `${evicted}, then all at once: refused ${refused} times`
    })
  }, 600_000)

  it('a worker is killed in the middle of a large batch', async () => {
    await timeline.during('SIGKILL of a worker in the middle of 1 000 000 rows', async () => {
      const kills = new Map<string, () => Promise<string>>()
      for (const pod of await readyPods('ingest')) kills.set(pod.metadata!.name!, await killer(pod))
      const produced = produce(line, interrupted).then(() => load.accepted.push(remembered(interrupted)))
      const how = await kills.get(await storing(interrupted.id, 3))!()
      const { rows } = await line.pool.query<{ state: string }>('select state from batches where id = $1', [
        interrupted.id,
      ])
      expect(rows[0]!.state).toBe('open')
      await produced
      await readyAgain('ingest', kills.size)
      expect((await line.reply(interrupted.id, 120_000)).state).toBe('succeeded')
      return how
    })
  }, 300_000)

  it('the broker restarts', () => timeline.during('restart of the broker', () => restart('kafka')), 400_000)

  it('PostgreSQL restarts', () => timeline.during('restart of PostgreSQL', () => restart('postgres')), 400_000)

  it('nothing happens at last', () => timeline.during('nothing again', () => sleep(30_000)), 120_000)
})

/** Waits until so many chunks of a batch are stored. @returns who stored the last one */
async function storing(id: string, chunks: number): Promise<string> {
  const { worker } = await eventually(
    async () => {
      const { rows } = await line.pool.query<{ worker: string }>(
        `select worker from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1 order by stored_at desc`,
        [id],
      )
      return rows.length >= chunks && rows[0]!
    },
    { within: 120_000, every: 20, what: `${chunks} chunks being stored` },
  )
  return worker
}

describe('what became of the load', () => {
  let checked: Checked
  beforeAll(async () => {
    await load.stop()
    checked = await check(line, load.accepted, replies)
    const results = await resultsOf(checked)
    await saveResults(results, installed.settings.results)
    process.stderr.write(
      `\n${[eventsTable(results.figures), totalsTable(results), podsTable(results.drains, results.pods)].map(asText).join('\n\n')}\n`,
    )
    if (installed.settings.report) await writeReport(results)
  }, 600_000)

  it('no read failed, and none was sent again but for the restart of PostgreSQL', () => {
    const { reads } = load
    expect(reads.outcomes.length).toBeGreaterThan(1_000)
    expect(
      reasons(
        reads.outcomes.filter(({ failed }) => failed !== undefined),
        timeline.phases,
      ),
    ).toEqual([])
    expect(reasons(outside(['restart of PostgreSQL'], reads.outcomes), timeline.phases)).toEqual([])
  })

  it('no upload failed, and none was sent again but for the restarts of PostgreSQL and the broker', () => {
    const { uploads } = load
    expect(uploads.outcomes.length).toBeGreaterThan(50)
    expect(
      reasons(
        uploads.outcomes.filter(({ failed }) => failed !== undefined),
        timeline.phases,
      ),
    ).toEqual([])
    const restarts = ['restart of PostgreSQL', 'restart of the broker']
    expect(reasons(outside(restarts, uploads.outcomes), timeline.phases)).toEqual([])
  })

  it('every batch was sent, and none was sent again but for the restart of the broker', () => {
    const { outcomes } = load.batches
    expect(
      reasons(
        outcomes.filter(({ failed }) => failed !== undefined),
        timeline.phases,
      ),
    ).toEqual([])
    expect(reasons(outside(['restart of the broker'], outcomes), timeline.phases)).toEqual([])
  })

  it('every batch that was acknowledged was applied once and got one distinct reply', () => {
    expect(told(checked.violations)).toEqual([])
    expect(checked.distinctReplies).toBe(checked.batches)
  })

  it('nobody saw a part of a batch', () => {
    expect(told(load.batches.violations)).toEqual([])
    expect(load.batches.seen.nothing).toBeGreaterThan(0)
    expect(load.batches.seen.all).toBeGreaterThan(0)
  })

  it('every pod that was told to end did so by itself, with code 0', () => {
    const ended = [...pods.pods.values()].filter(
      ({ deleted, exitCode }) => deleted !== undefined && exitCode !== undefined,
    )
    expect(ended.filter(({ exitCode }) => exitCode !== 0)).toEqual([])
    expect(ended.length).toBeGreaterThan(0)
  })
})

const outside = (names: string[], outcomes: ConstantLoad['reads']['outcomes']) => {
  const phases = timeline.phases.filter(({ name }) => names.includes(name))
  return outcomes.filter(({ at }) => !phases.some(({ from, to }) => at >= from - 30_000 && at < to))
}

async function resultsOf(checked: Checked): Promise<RolloutResults> {
  const { reads, uploads, batches } = load
  const loads = { reads: reads.outcomes, uploads: uploads.outcomes, batches: batches.outcomes }
  const version = JSON.parse(await kubectl(['version', '-o', 'json'])) as { serverVersion: { gitVersion: string } }
  const nodes = (await installed.kube.core.listNode()).items
  return {
    figures: figuresOf(timeline.phases, loads),
    ...loads,
    checked,
    seen: batches.seen,
    drains: drainTimes(pods.pods.values()),
    pods: [...pods.pods.values()],
    place:
      `${new Date().toISOString().slice(0, 10)}: Kubernetes ${version.serverVersion.gitVersion}, nodes: ${nodes.length}, ` +
      `cores: ${nodes[0]!.status!.capacity!['cpu']}; the load came from a machine with ${os.availableParallelism()} cores.`,
    load: `${LOAD}.`,
  }
}
