import { afterAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { demoDump } from './demo-dump.ts'
import { firstAnswer, install, RELEASE, type Installation } from './installation.ts'
import { everythingIn } from './kube.ts'
import { helm, kubectl } from './programs.ts'

// From an empty namespace, in which Pod Security restricted is enforced, to the first answer; and back to an empty one.

const NAMESPACE = 'rates-e2e-install'
const DUMP = 'rates-dump'

let installed: Installation
afterAll(() => installed?.close(), 200_000)

const QUERY = 'date_from=2026-07-01&date_to=2026-07-31&orig_code=CNTAO&dest_code=DEHAM'

describe('installing into an empty namespace', () => {
  it('answers, with the prices of a dump', async () => {
    installed = await install(NAMESPACE, {
      set: ['import.enabled=true', `import.configMap.name=${DUMP}`],
      async before({ core }) {
        const body = { metadata: { name: DUMP }, data: { 'rates.sql': await demoDump(5_000) } }
        await core.createNamespacedConfigMap({ namespace: NAMESPACE, body })
      },
    })
    const { startedAt } = installed
    const answered = await firstAnswer(installed, QUERY)
    await eventually(
      async () => {
        const { rates } = await answer(QUERY)
        return rates.some(({ price }) => price !== null)
      },
      { within: 120_000, every: 250, what: 'the prices of the dump' },
    )
    const [first, imported] = [answered, Date.now()].map((at) => ((at - startedAt) / 1000).toFixed(1))
    process.stderr.write(
      `\nfrom helm install to the first answer ${first} s, to the prices of the dump ${imported} s\n`,
    )
  }, 600_000)

  it('has every pod accepted under Pod Security restricted', async () => {
    await installed.rolledOut()
    const refused = await kubectl([
      'get',
      'events',
      '-n',
      NAMESPACE,
      '-o',
      'name',
      '--field-selector',
      'reason=FailedCreate',
    ])
    expect(refused).toBe('')
    const { items } = await installed.kube.core.listNamespacedPod({ namespace: NAMESPACE })
    const components = new Set(items.map(({ metadata }) => metadata!.labels!['app.kubernetes.io/component']))
    expect([...components].sort()).toEqual(['api', 'import', 'ingest', 'kafka', 'migrate', 'postgres'])
  }, 300_000)

  it('shows the page to browsers: the images have it', async () => {
    const page = await fetch(`${installed.apiUrl}/batches/any`, { headers: { accept: 'text/html' } })
    const [, script] = /<script type="module" src="([^"]+)"/.exec(await page.text()) ?? []
    const answered = await fetch(`${installed.apiUrl}/${script}`)
    expect([answered.status, answered.headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8'])
  }, 60_000)

  it('passes helm test', async () => {
    expect(await helm(['test', RELEASE, '-n', NAMESPACE, '--timeout', '180s'])).toMatch(/Phase:\s+Succeeded/)
  }, 300_000)

  it('is installed again over itself without a change of any pod', async () => {
    const names = async () =>
      (await installed.kube.core.listNamespacedPod({ namespace: NAMESPACE })).items
        .map(({ metadata }) => metadata!.name)
        .sort()
    const before = await names()
    await installed.upgrade()
    expect(await names()).toEqual(before)
  }, 300_000)
})

describe('uninstalling', () => {
  it('leaves nothing but what did not come with the charts, and the pod of helm test for its log', async () => {
    await installed.uninstall()
    const left = [`configmap/${DUMP}`, `pod/${RELEASE}-check`]
    // Pods end, and claims after them.
    await eventually(async () => (await everythingIn(NAMESPACE)).length === left.length, {
      within: 120_000,
      every: 1_000,
    }).catch(() => undefined)
    expect((await everythingIn(NAMESPACE)).sort()).toEqual(left)
  }, 600_000)
})

async function answer(query: string): Promise<{ rates: { price: number | null }[] }> {
  const response = await fetch(`${installed.apiUrl}/rates?${query}`)
  return (await response.json()) as { rates: { price: number | null }[] }
}
