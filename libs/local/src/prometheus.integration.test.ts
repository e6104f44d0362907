import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { eventually } from '@rates/testing/eventually'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { describeWithPrometheus } from '@rates/testing/with-prometheus'
import { Missing } from './java.ts'
import { requirePrometheus, startPrometheus, type RunningPrometheus } from './prometheus.ts'

describeWithPrometheus('startPrometheus', () => {
  let dir: string
  let target: Server
  let running: RunningPrometheus | undefined
  const start = async () => {
    running = await startPrometheus({
      dir,
      port: 0,
      everySeconds: 1,
      jobs: { water: [`127.0.0.1:${(target.address() as AddressInfo).port}`] },
      rules: [join(dirname(dir), '*.rules.yaml')],
    })
    return running
  }
  const ask = async (query: string) => {
    const answer = await fetch(`${running!.url}/api/v1/query?query=${encodeURIComponent(query)}`)
    const { data } = (await answer.json()) as { data: { result: { metric: object; value: [number, string] }[] } }
    return data.result
  }

  beforeAll(async () => {
    dir = join(await temporaryFolder(), 'prometheus')
    const rules = { groups: [{ name: 'water', rules: [{ record: 'job:water:double', expr: 'water_litres * 2' }] }] }
    await writeFile(join(dirname(dir), 'water.rules.yaml'), JSON.stringify(rules))
    target = createServer((_, answer) => answer.end('water_litres 21\n'))
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  })
  afterAll(async () => {
    await running?.stop()
    target.close()
    await rm(dirname(dir), { recursive: true, force: true })
  })

  it('scrapes its jobs and evaluates the rules', async () => {
    await start()
    const found = await eventually(async () => (await ask('job:water:double'))[0], { within: 20_000 })
    expect(found).toMatchObject({ metric: { job: 'water' }, value: [expect.anything(), '42'] })
  })

  it('ends the one that a killed run left, and has its series still', async () => {
    const first = running!
    const since = (await ask('timestamp(water_litres)'))[0]!.value
    await start()
    expect((await first.exited).signal ?? 'SIGTERM').toBe('SIGTERM')
    const [kept] = await ask(`water_litres @ ${since[1]}`)
    expect(kept?.value[1]).toBe('21')
  })
})

describe('requirePrometheus', () => {
  it('says what to do where there is no such program, or another one', async () => {
    for (const program of ['/nowhere/prometheus', 'true']) {
      const missing = await requirePrometheus(program).catch((error: unknown) => error)
      expect(missing).toBeInstanceOf(Missing)
      expect((missing as Missing).message).toMatch(new RegExp(`"${program} --version".*apt install.*/bottleneck`, 's'))
    }
  })
})
