import { describe, expect, it } from '@jest/globals'
import { Status } from './status.ts'

describe('Status, where there is no terminal', () => {
  const run = () => {
    const written: string[] = []
    const out = { isTTY: false, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
    return { status: new Status(out), written }
  }

  it('writes a line for each step when it is done, with its time and outcome', async () => {
    const { status, written } = run()
    const result = await status.step(
      'Kafka',
      async () => 4,
      (count) => `${count} topics`,
    )
    expect(result).toBe(4)
    expect(written).toEqual([expect.stringMatching(/^ {2}Kafka {10}0\.\d s {2}4 topics\n$/)])
  })

  it('announces a note once, and no line for a step that failed', async () => {
    const { status, written } = run()
    const failing = status.step('Kafka', async (note) => {
      note('downloading Kafka')
      note('downloading Kafka')
      note('downloading Kafka: 2 files, kafka.jar')
      throw new Error('no network')
    })
    await expect(failing).rejects.toThrow('no network')
    expect(written).toEqual(['  Kafka: downloading Kafka\n'])
  })
})
