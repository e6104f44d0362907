import { once } from 'node:events'
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'

type Api = Awaited<ReturnType<typeof startApiProcess>>

const DELAY_SECONDS = 5

let line: Line
let rates: string
beforeAll(async () => {
  line = await startLine()
  await startWorkerProcess(line)
  const batch = testBatch(2_000)
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(batch.lines) }])
  await line.reply(batch.id)
  const [orig, dest] = batch.lines[0]!.split(',')
  rates = `/rates?date_from=${batch.month}-01&date_to=${batch.month}-28&orig_code=${orig}&dest_code=${dest}`
})
afterAll(() => line.close())

const startApi = (more: Record<string, string> = {}): Promise<Api> =>
  startApiProcess(line, {
    DRAIN_DELAY_SECONDS: String(DELAY_SECONDS),
    DRAIN_SECONDS: '10',
    UPLOADS_AT_ONCE: '50',
    ...more,
  })

async function isReady(api: Api): Promise<boolean> {
  const { managementPort } = await api.said('listening')
  const { status } = await fetch(`http://127.0.0.1:${String(managementPort)}/readyz`)
  return status === 200
}

interface Answer {
  status: number
  /** The server asks for another connection. */
  closes: boolean
  text: string
}

async function answerOf(request: ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const piece of response) text += String(piece)
  return { status: response.statusCode!, closes: response.headers.connection === 'close', text }
}

/** Clients as behind a Service of Kubernetes: they keep a connection until it ends, and get the next where there is one. */
class Load {
  readonly failures: string[] = []
  readonly served = new Map<string, number>()
  readonly batches: string[] = []
  places: string[]
  #going = true
  readonly #clients: Promise<void>[] = []

  constructor(places: string[]) {
    this.places = places
  }

  read(): void {
    this.#client((agent, place) => httpRequest(place + rates, { agent }).end(), 200)
  }

  upload(): void {
    this.#client((agent, place) => {
      const { id, lines } = testBatch(200)
      this.batches.push(id)
      const headers = { 'content-type': 'text/csv', 'batch-id': id }
      return httpRequest(`${place}/batches`, { agent, method: 'POST', headers }).end(csv(lines))
    }, 202)
  }

  async stop(): Promise<void> {
    this.#going = false
    await Promise.all(this.#clients)
  }

  #client(send: (agent: Agent, place: string) => ClientRequest, wanted: number): void {
    const turns = async (): Promise<void> => {
      while (this.#going) {
        const place = this.places[Math.floor(Math.random() * this.places.length)]!
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        try {
          for (let closes = false; this.#going && !closes;) {
            const answer = await answerOf(send(agent, place))
            closes = answer.closes
            if (answer.status !== wanted) this.failures.push(`${answer.status} ${answer.text}`)
            this.served.set(place, (this.served.get(place) ?? 0) + 1)
          }
        } catch (error) {
          this.failures.push(String(error))
        }
        agent.destroy()
      }
    }
    this.#clients.push(turns())
  }
}

describe('the API told to stop', () => {
  it('fails no request of a constant load, nor an upload that it has in hand', async () => {
    const [leaving, staying] = await Promise.all([startApi(), startApi()])
    await eventually(async () => (await isReady(leaving)) && (await isReady(staying)), { what: 'both being ready' })
    const load = new Load([leaving.url, staying.url])
    for (let i = 0; i < 6; i++) load.read()
    for (let i = 0; i < 2; i++) load.upload()
    const served = (url: string): number => load.served.get(url) ?? 0
    await eventually(async () => served(leaving.url) > 20 && served(staying.url) > 20, { what: 'the load' })

    const long = testBatch(1_000)
    const headers = { 'content-type': 'text/csv', 'batch-id': long.id }
    const upload = httpRequest(`${leaving.url}/batches`, {
      method: 'POST',
      headers,
      agent: new Agent({ keepAlive: true }),
    })
    const uploaded = answerOf(upload)
    upload.write(csv(long.lines.slice(0, 500)))

    const before = served(leaving.url)
    const asked = performance.now()
    leaving.signal('SIGTERM')
    await eventually(async () => !(await isReady(leaving)), { within: 3_000, every: 20, what: 'its readiness to end' })
    await sleep(500) // until all have heard of it
    load.places = [staying.url]
    await sleep(DELAY_SECONDS * 1000)
    upload.end(csv(long.lines.slice(500)))
    expect(await uploaded).toMatchObject({ status: 202, closes: true })
    expect(await leaving.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - asked).toBeGreaterThan(DELAY_SECONDS * 1000)
    const gone = served(staying.url)
    await eventually(async () => served(staying.url) > gone + 20, { what: 'the load going on' })
    await load.stop()

    expect(load.failures).toEqual([])
    expect(served(leaving.url)).toBeGreaterThan(before)
    for (const id of [long.id, ...load.batches]) await line.reply(id)
    const { rows } = await line.pool.query<{ state: string; n: number }>(
      'select state, count(*)::int as n from batches where id = any($1) group by 1',
      [[long.id, ...load.batches]],
    )
    expect(rows).toEqual([{ state: 'succeeded', n: load.batches.length + 1 }])
  })

  it('refuses an upload that does not end, cancels its batch, and ends well though the caller goes on', async () => {
    const api = await startApi({ DRAIN_DELAY_SECONDS: '0', DRAIN_SECONDS: '4' })
    const { id, lines } = testBatch(10)
    const headers = { 'content-type': 'text/csv', 'batch-id': id }
    const upload = httpRequest(`${api.url}/batches`, { method: 'POST', headers })
    const answer = answerOf(upload)
    const more = setInterval(() => upload.write(csv(lines)), 50)
    upload.on('error', () => clearInterval(more))
    await eventually(async () => (await line.pool.query('select from batches where id = $1', [id])).rowCount === 1, {
      what: 'the batch being open',
    })
    api.signal('SIGTERM')
    expect(await answer).toMatchObject({ status: 503, closes: true })
    expect(await api.exited).toEqual({ code: 0, signal: null })
    clearInterval(more)
    upload.destroy()
    const { rows } = await line.pool.query<{ state: string }>('select state from batches where id = $1', [id])
    expect(rows).toEqual([{ state: 'cancelled' }])
  })

  it('cancels the batch of an upload in time, and ends well, though a query by message takes longer', async () => {
    const api = await startApi({ DRAIN_DELAY_SECONDS: '0', DRAIN_SECONDS: '6' })
    await api.said('queries by message are answered')
    const { id, lines } = testBatch(10)
    const headers = { 'content-type': 'text/csv', 'batch-id': id }
    const upload = httpRequest(`${api.url}/batches`, { method: 'POST', headers })
    const answer = answerOf(upload)
    upload.on('error', () => undefined)
    upload.write(csv(lines))
    await eventually(async () => (await line.pool.query('select from batches where id = $1', [id])).rowCount === 1, {
      what: 'the batch being open',
    })
    const client = await line.pool.connect()
    try {
      await client.query('begin; lock table price_packs in access exclusive mode')
      const query = Object.fromEntries(new URL(rates, api.url).searchParams)
      await line.send([{ topic: line.topics.queries, headers: {}, value: Buffer.from(JSON.stringify(query)) }])
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
        and application_name = 'rates-api' and query like '%price_packs%'`
      await eventually(async () => (await line.pool.query(waiting)).rowCount! > 0, { what: 'the query waiting' })
      api.signal('SIGTERM')
      expect(await answer).toMatchObject({ status: 503, closes: true })
      expect(await api.exited).toEqual({ code: 0, signal: null })
    } finally {
      await client.query('rollback')
      client.release()
    }
    const { rows } = await line.pool.query<{ state: string }>('select state from batches where id = $1', [id])
    expect(rows).toEqual([{ state: 'cancelled' }])
  })

  it('ends well though a caller does not say what it wants', async () => {
    const api = await startApi({ DRAIN_DELAY_SECONDS: '0', DRAIN_SECONDS: '3' })
    await api.said('started')
    const mute = connect(Number(new URL(api.url).port), '127.0.0.1')
    mute.write('GET /ports HTTP/1.1\r\n')
    mute.on('error', () => undefined)
    await sleep(200)
    api.signal('SIGTERM')
    expect(await api.exited).toEqual({ code: 0, signal: null })
    mute.destroy()
  })

  it('ends at once at a second signal', async () => {
    const api = await startApi({ DRAIN_DELAY_SECONDS: '60' })
    await api.said('started')
    api.signal('SIGTERM')
    await api.said('stopping')
    api.signal('SIGTERM')
    expect(await api.exited).toEqual({ code: 1, signal: null })
  })

  it('ends well before it has started', async () => {
    // PostgreSQL never answers, so that nothing is ready.
    const api = await startApi({ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/none', DRAIN_DELAY_SECONDS: '0' })
    api.signal('SIGTERM')
    expect(await api.exited).toEqual({ code: 0, signal: null })
  })
})
