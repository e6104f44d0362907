import { setTimeout as sleep } from 'node:timers/promises'
import { cancelBatch, requestRevert } from '@rates/service/produce-batch'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { type Line } from '@rates/testing/line'

/** Whatever is counted of a system happens once at least. */
export async function useAll(line: Line, url: string): Promise<void> {
  const { batches: topic } = line.topics
  const send = (batch: TestBatch, more: Record<string, string> = {}, lines = batch.lines): Promise<void> => {
    const headers = { 'batch-id': batch.id, 'content-type': 'text/csv', ...more }
    return line.send([{ topic, headers, value: csv(lines) }])
  }
  const make = (): TestBatch => testBatch(600)
  const [good, bad, late, timely] = [make(), make(), make(), make()]
  const [reverted, cancelled, uploaded] = [make(), make(), make()]
  const half = await chunkRecords(topic, { batchId: cancelled.id }, cancelled.lines, { chunks: 2 })
  await Promise.all([
    send(good),
    send(bad, {}, [...bad.lines, 'XXXXX,NLRTM,2030-01-01,5']),
    send(late, { deadline: inSeconds(-5) }),
    send(timely, { deadline: inSeconds(60) }),
    send(reverted),
    line.send(half.slice(1)),
    line.send([{ topic, headers: { 'batch-id': 'not an id' }, value: csv(good.lines) }]), // a dead letter
    upload(url, uploaded),
    fetch(`${url}/rates?date_from=2021-01-01&date_to=2021-01-02&orig_code=CNSGH&dest_code=NLRTM`),
    fetch(`${url}/nothing`),
  ])
  await line.reply(reverted.id)
  await requestRevert(line.producer, line.topics, { batchId: reverted.id })
  await cancelBatch(line.producer, line.topics, { batchId: cancelled.id })
  const interrupted = await loseConnections(line)
  for (const batch of [good, bad, late, timely, cancelled, uploaded, interrupted]) await line.reply(batch.id, 60_000)
}

/** An open batch with a deadline: how much time is left is exported only while there is one. */
export async function leaveOpen({ topics, send }: Line): Promise<void> {
  const batch = testBatch(10)
  const headers = { batchId: batch.id, deadline: inSeconds(600) }
  const [first] = await chunkRecords(topics.batches, headers, batch.lines, { chunks: 2 })
  await send([first!])
}

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()

async function upload(url: string, batch: TestBatch): Promise<void> {
  const body = new Uint8Array(csv(batch.lines))
  const answer = await fetch(`${url}/batches?id=${batch.id}`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv' },
    body,
  })
  if (answer.status !== 202) throw new Error(`the upload: ${answer.status} ${await answer.text()}`)
}

/** In the middle of a batch: steps are tried again. */
async function loseConnections(line: Line): Promise<TestBatch> {
  const batch = testBatch(60_000)
  await line.send(await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 12 }))
  for (let i = 0; i < 20; i++) {
    await line.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'worker-%' and state <> 'idle'`)
    await sleep(50)
  }
  return batch
}
