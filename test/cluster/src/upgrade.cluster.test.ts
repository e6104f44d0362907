import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLine, type Line, type Watched } from '@rates/testing/line'
import { packagedChart } from './chart-versions.ts'
import { check, told } from './check.ts'
import { derivedImages } from './images.ts'
import { install, RELEASE, type Installation } from './installation.ts'
import { podsOf } from './kube.ts'
import { startConstantLoad, type ConstantLoad } from './load/constant-load.ts'
import { reasons } from './phases.ts'
import { helm, kubectl } from './programs.ts'
import { clusterSettings } from './settings.ts'

// No version was released yet. So the chart as it is stands for the previous one, and the next one is a copy of it with a
// higher version, and images that have one migration more. What is shown: its Job runs, new pods wait for it while old
// ones work on with the newer schema, nothing is lost; and back again, where pods meet a schema newer than they know.

const NAMESPACE = 'rates-e2e-upgrade'
const MIGRATION = `comment on table batches is 'one row for each batch that was ever opened';\n`

let installed: Installation
let line: Line
let replies: Watched
let load: ConstantLoad
let next: { chart: string; tag: string }

beforeAll(async () => {
  const settings = clusterSettings()
  next = { chart: await packagedChart('0.2.0-e2e', true), tag: `${settings.tag}-next` }
  await derivedImages(settings, next.tag, { '/app/db/migrations/9999_test.sql': MIGRATION })
  installed = await install(NAMESPACE, { chart: await packagedChart('0.1.0-e2e') })
  await installed.rolledOut()
  line = await startLine({ databaseUrl: installed.databaseUrl, brokers: installed.brokers, prefix: '' })
  replies = await line.watch(line.topics.replies)
  load = startConstantLoad(installed.apiUrl, line)
  await sleep(20_000) // so that there are data
}, 900_000)

afterAll(async () => {
  await line?.close()
  await installed?.close()
}, 300_000)

const migrations = async (): Promise<string[]> => {
  const jobs = await kubectl([
    'get',
    'jobs',
    '-n',
    NAMESPACE,
    '-o',
    'name',
    '-l',
    'app.kubernetes.io/component=migrate',
  ])
  return jobs.trim().split('\n').sort()
}
const applied = async (): Promise<number> =>
  Number((await line.pool.query<{ n: number }>('select count(*)::int as n from rates_migrations')).rows[0]!.n)
const tags = async (): Promise<string[]> => {
  const pods = await podsOf(installed.kube, NAMESPACE, { 'app.kubernetes.io/instance': RELEASE })
  const running = pods.filter(({ status, metadata }) => status!.phase === 'Running' && !metadata!.deletionTimestamp)
  return [...new Set(running.map(({ spec }) => spec!.containers[0]!.image!.replace(/.*:/, '')))]
}

describe('an upgrade to a version with a new migration, under load', () => {
  it('runs the migration and replaces the pods', async () => {
    const [jobs, count] = [await migrations(), await applied()]
    await installed.upgrade([`image.tag=${next.tag}`], { chart: next.chart })
    expect(await applied()).toBe(count + 1)
    expect((await migrations()).filter((job) => !jobs.includes(job))).toHaveLength(1)
    expect(await tags()).toEqual([next.tag])
    await sleep(10_000)
  }, 400_000)

  it('is rolled back: the previous version works with the newer schema', async () => {
    const count = await applied()
    await helm(['rollback', RELEASE, '-n', NAMESPACE])
    await installed.rolledOut()
    expect(await applied()).toBe(count)
    expect(await tags()).toEqual([installed.settings.tag])
    await sleep(10_000)
  }, 400_000)

  it('failed no request, lost no batch and showed no part of one', async () => {
    await load.stop()
    const outcomes = [load.reads, load.uploads, load.batches].flatMap((each) => each.outcomes)
    expect(reasons(outcomes, [])).toEqual([])
    expect(told(load.batches.violations)).toEqual([])
    const checked = await check(line, load.accepted, replies)
    expect(told(checked.violations)).toEqual([])
    expect(checked.distinctReplies).toBe(checked.batches)
    expect(checked.batches).toBeGreaterThan(50)
  }, 600_000)
})
