import { type Failpoint } from '@rates/service/failpoints'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { type Scenario } from './kill-scenarios.ts'
import { askOften, expectOneAnswerEach } from './query-answers.ts'

const QUERIES = 60

/** Queries about a batch that comes after the kill: whoever takes them again would answer otherwise. */
function asking(): Scenario {
  const batch = testBatch(300)
  return {
    process: 'api',
    prepare: async (line) => void (await startWorkerProcess(line)),
    async act(line, url) {
      await askOften(line, { query: 'batch', id: batch.id }, QUERIES)
      const isDead = (): Promise<boolean> =>
        fetch(url).then(
          () => false,
          () => true,
        )
      await eventually(isDead, { within: 90_000, what: 'the end of who answers queries' })
      await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
    },
    sent: [{ batch }],
    watches: [{ batch }],
    async healed(line) {
      await startApiProcess(line)
      await expectOneAnswerEach(line, QUERIES)
    },
  }
}

/** Of answering queries by message. */
export const queryScenarios = {
  'took-query': asking,
  'noted-answer': asking,
  'sent-answer': asking,
} satisfies Partial<Record<Failpoint, () => Scenario>>
