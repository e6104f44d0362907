import { describe, expect, it } from '@jest/globals'
import { FAILPOINTS, type Failpoint } from '@rates/service/failpoints'
import { expectInvariants } from '@rates/testing/invariants'
import { startLine } from '@rates/testing/line'
import { observe } from '@rates/testing/observer'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { cancellingOverHttp, revertingOverHttp, scenarios, together, type Scenario } from './kill-scenarios.ts'

// kill -9 at every failpoint there is, of a real process; another one is started, and nobody does anything else. Most of
// a test's time is the wait for a dead worker's session or lease to run out: they run at the same time.

/** @returns when the invariants hold */
async function dieAt(failpoint: Failpoint, scenario: Scenario): Promise<void> {
  const { process: kind = 'worker', pass = 1, settings = {}, prepare, act, sent, watches, healed } = scenario
  const line = await startLine({ partitions: 2 })
  try {
    await prepare?.(line)
    const observer = await observe(line, watches, { everyMilliseconds: 10 })
    const doomed = await (kind === 'api' ? startApiProcess : startWorkerProcess)(line, {
      ...settings,
      FAILPOINTS: `${failpoint}@${pass}`,
    })
    // An API that dies answers nobody.
    const acted = act(line, 'url' in doomed ? (doomed.url as string) : '').catch((error: Error) => error)
    const missed = setTimeout(() => doomed.signal('SIGTERM'), 90_000)
    expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
    clearTimeout(missed)
    if (kind === 'worker') await startWorkerProcess(line, settings)
    const failure = await acted
    if (failure && kind === 'worker') throw failure
    for (const { batch, state } of sent) if (state !== 'forgotten') await line.reply(batch.id, 60_000)
    await healed?.(line)
    await observer.sampled()
    await expectInvariants(line, sent, { observation: await observer.stop(), within: 60_000 })
  } finally {
    await line.close()
  }
}

const everywhere: [string, Failpoint, () => Scenario][] = [
  ...FAILPOINTS.map((name) => [name, name, scenarios[name]] as [string, Failpoint, () => Scenario]),
  ...(['took-record', 'parsed', 'before-chunk', 'inside-chunk', 'after-chunk', 'handled-record'] as const).map(
    (name) => [`${name} of chunks together`, name, together] as [string, Failpoint, () => Scenario],
  ),
  ['before-revert of the API', 'before-revert', () => revertingOverHttp('succeeded')],
  ['inside-revert of the API', 'inside-revert', () => revertingOverHttp('succeeded')],
  ['after-revert of the API', 'after-revert', () => revertingOverHttp('reverted')],
  ['after-end of the API', 'after-end', cancellingOverHttp],
]

describe('a kill -9', () => {
  it.concurrent.each(everywhere)('at %s', (_, failpoint, scenario) => dieAt(failpoint, scenario()), 180_000)
})
