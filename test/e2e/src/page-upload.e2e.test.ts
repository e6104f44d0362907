import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { csv, ndjson, randomLines, testBatch, type TestBatch } from '@rates/testing/batches'
import { accessibilityFaults, newPage, openBrowser, type PageOptions, type WatchedPage } from '@rates/testing/browser'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { holdPacks, startApiProcess, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'
import { type Browser, type Page, type Route } from 'playwright-core'
import { readFile } from 'node:fs/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'

// The view "Upload" of the page, as a person uses it.

const MAX_BYTES = 5_000_000

let line: Line
let url: string
let worker: ServiceProcess
let browser: Browser
beforeAll(async () => {
  line = await startLine()
  const [api, started] = await Promise.all([
    startApiProcess(line, { UPLOAD_MAX_BYTES: String(MAX_BYTES) }),
    startWorkerProcess(line),
  ])
  url = api.url
  worker = started
  browser = await openBrowser()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await line?.close()
})

let opened: WatchedPage | undefined
afterEach(async () => {
  const closing = opened
  opened = undefined
  await closing?.close()
})

async function open(options: Partial<PageOptions> = {}): Promise<Page> {
  // Whether an id is taken is asked for: chromium writes a line for the good answer, 404.
  const expected = [/404 .*\/batches\/[^/]+\)$/, ...(options.expected ?? [])]
  opened = await newPage(browser, { url, ...options, expected })
  await opened.page.goto('/upload')
  return opened.page
}

interface TestFile {
  name: string
  mimeType: string
  buffer: Buffer
}
const file = (name: string, buffer: Buffer): TestFile => ({ name, mimeType: '', buffer })

const choose = (page: Page, ...files: TestFile[]): Promise<void> =>
  page.getByLabel('File with prices').setInputFiles(files)

/** As the mouse would. */
async function drop(page: Page, ...files: TestFile[]): Promise<void> {
  const sent = files.map(({ name, buffer }) => ({ name, content: buffer.toString('base64') }))
  const dataTransfer = await page.evaluateHandle(`(() => {
    const held = new DataTransfer()
    for (const { name, content } of ${JSON.stringify(sent)})
      held.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name))
    return held
  })()`)
  await page.dispatchEvent('main', 'dragover', { dataTransfer })
  await page.dispatchEvent('main', 'drop', { dataTransfer })
}

/** Holds uploads back until they are released. */
async function hold(page: Page): Promise<() => void> {
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  await page.route('**/batches?id=*', async (route) => {
    await released
    await route.continue()
  })
  return release
}

const headed = (page: Page, text: string): Promise<void> =>
  page.getByRole('heading', { level: 2, name: text, exact: true }).waitFor()

const press = (page: Page, button: string): Promise<void> =>
  page.getByRole('button', { name: button, exact: true }).click()

const batchesOf = async (query: string): Promise<Batch[]> =>
  ((await (await fetch(`${url}/batches?${query}`)).json()) as { batches: Batch[] }).batches

const told = async (page: Page): Promise<string> => (await page.getByRole('alert').innerText()).trim()

describe('a good file', () => {
  const batch = testBatch(2000, { id: 'acme-2026' })

  it('is checked and, when it is told so, loaded; what is said of the batch goes with it', async () => {
    const page = await open()
    await page.getByLabel('Source').fill('Çelik & Söhne')
    await page.getByLabel('Batch id').fill(batch.id)
    await page.getByLabel('Deadline').fill('2199-12-31T12:00')
    await choose(page, file('acme.csv', csv(batch.lines)))
    await headed(page, '2\u202f000 rows are good')
    expect(await factsOf(line, batch)).toMatchObject({ visible: 'nothing' })
    expect(await batchesOf('dryRun=false')).toEqual([])
    await press(page, 'Load 2\u202f000 rows')
    await headed(page, '2\u202f000 rows are visible')
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    expect(await batchesOf('dryRun=false')).toMatchObject([
      { id: batch.id, source: 'Çelik & Söhne', deadline: new Date('2199-12-31T12:00').toISOString() },
    ])
    await page.getByRole('link', { name: `See the batch ${batch.id}` }).click()
    await page.waitForURL(`${url}/batches/${batch.id}`)
  })

  it('is refused under an id that is taken, before it is sent', async () => {
    const page = await open()
    await page.getByLabel('Batch id').fill(batch.id)
    await choose(page, file('acme.csv', csv(batch.lines)))
    await headed(page, 'Not checked')
    expect(await told(page)).toContain(`There is a batch ${batch.id} already: choose another id.`)
    await page.getByLabel('Batch id').fill('acme-2027')
    await page.getByRole('button', { name: 'Try again' }).click()
    await headed(page, '2\u202f000 rows are good')
  })

  it.each([
    ['prices.csv.gz', (lines: string[]) => gzipSync(csv(lines))],
    ['prices.jsonl', (lines: string[]) => ndjson(lines)],
    ['prices.ndjson.zst', (lines: string[]) => zstdCompressSync(ndjson(lines))],
    ['prices', (lines: string[]) => ndjson(lines)],
  ])('may be dropped as %s', async (name, content) => {
    const dropped = testBatch(300)
    const page = await open()
    await page.getByLabel('Batch id').fill(dropped.id)
    await drop(page, file(name, content(dropped.lines)))
    await headed(page, '300 rows are good')
    await press(page, 'Load 300 rows')
    await headed(page, '300 rows are visible')
    await line.reply(dropped.id)
    expect(await factsOf(line, dropped)).toEqual(succeeded(dropped))
  })

  it('is sent on while another place of the page is looked at', async () => {
    const page = await open()
    const release = await hold(page)
    await choose(page, file('a.csv', csv(batch.lines)))
    await headed(page, 'Sending a.csv to be checked')
    const places = page.getByRole('navigation', { name: 'Page' })
    await places.getByRole('link', { name: 'Batches' }).click()
    await page.getByRole('heading', { level: 1, name: 'Batches' }).waitFor()
    release()
    await places.getByRole('link', { name: 'Upload' }).click()
    await headed(page, '2\u202f000 rows are good')
  })
})

describe('a bad file', () => {
  const lines = testBatch(400).lines
  lines[2] = 'CNGGZ,NLRTX,2026-11-02,1200'
  lines[8] = 'CNGGZ,NLRTM,2026-11-31,1300'
  for (let i = 100; i < 130; i++) lines[i] = 'CNGGZ,"NL\nRTM",2026-11-30,3'

  it('has its bad rows shown, all of them in files, and may be mended', async () => {
    const page = await open()
    await choose(page, file('bad.csv', csv(lines)))
    await headed(page, '32 of 400 rows break a rule')
    expect(await page.getByRole('listitem').filter({ hasText: '×' }).allInnerTexts()).toEqual([
      '31 × unknown_port no such port',
      '1 × not_a_date not a day as 2026-11-21',
    ])
    const rows = page.getByRole('region', { name: 'The bad rows' }).getByRole('row')
    await eventually(async () => (await rows.count()) === 21, { what: 'the rows' })
    expect(await rows.nth(1).getByRole('cell').allInnerTexts()).toEqual([
      '3',
      'dest_code',
      'NLRTX',
      'unknown_port',
      lines[2],
    ])
    expect(await rows.nth(2).getByRole('cell').allInnerTexts()).toEqual([
      '9',
      'day',
      '2026-11-31',
      'not_a_date',
      lines[8],
    ])
    expect(await rows.nth(3).getByRole('cell').nth(2).innerText()).toBe('NL\nRTM')
    await press(page, 'Show all 32')
    expect(await rows.count()).toBe(33)
    for (const [name, row] of [
      ['All as CSV', /^\d+,0,\d+,/gm],
      ['as NDJSON', /^{"row":\d+/gm],
    ] as const) {
      const downloading = page.waitForEvent('download')
      await page.getByRole('link', { name }).click()
      const text = await readFile(await (await downloading).path(), 'utf8')
      expect(text.match(row)).toHaveLength(32)
    }
    expect(await page.getByRole('button', { name: /^Load/ }).count()).toBe(0)
    await choose(page, file('bad.csv', csv(testBatch(400).lines)))
    await headed(page, '400 rows are good')
  })

  it('is told what else is wrong with it', async () => {
    const page = await open()
    await page.getByLabel('Replaces').fill('nobody-knows-it')
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, 'It cannot be loaded')
    expect(await page.getByRole('region', { name: 'State of the upload' }).innerText()).toContain('nobody-knows-it')
  })
})

describe('what is not sent', () => {
  it('is told why', async () => {
    const page = await open()
    const good = file('a.csv', csv(testBatch(3).lines))
    const cases: [TestFile[], string][] = [
      [[good, good], 'These are 2 files. Each is a batch of its own: one at a time.'],
      [[file('a.csv', Buffer.alloc(0))], 'a.csv is empty.'],
      [[file('a.xlsx', Buffer.from('PK\u0003\u0004'))], 'a.xlsx is a spreadsheet or an archive'],
    ]
    for (const [files, why] of cases) {
      await drop(page, ...files)
      await page.getByRole('alert').filter({ hasText: why }).waitFor()
    }
    await choose(page, good)
    await headed(page, '3 rows are good')
    expect(await page.getByRole('alert').count()).toBe(0)
  })

  it('is an id that is none', async () => {
    const page = await open()
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, '3 rows are good')
    await page.getByLabel('Batch id').fill('no id')
    await page.getByText('1 to 128 of A-Z a-z 0-9 . _ : -').waitFor()
    expect(await page.getByRole('button', { name: 'Load 3 rows' }).isDisabled()).toBe(true)
  })
})

describe('a service that does not take it', () => {
  it('says that it is too large', async () => {
    const page = await open({ expected: [/413/] })
    await choose(page, file('a.csv', Buffer.alloc(MAX_BYTES + 1, 'CNGGZ,NLRTM,2026-11-02,1200\n')))
    await headed(page, 'Not checked')
    expect(await told(page)).toBe(
      `The file is too large for the service. The content has more than ${MAX_BYTES} bytes.`,
    )
  })

  it('may be asked again later', async () => {
    const page = await open({ expected: [/503/, /ERR_CONNECTION/] })
    const problem = { title: 'Service Unavailable', status: 503, detail: '4 uploads are going on already.' }
    await page.route('**/batches?id=*', (route) =>
      route.fulfill({ status: 503, json: problem, headers: { 'retry-after': '2' } }),
    )
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, 'Not checked')
    expect(await told(page)).toBe('The service cannot take it now. 4 uploads are going on already. Try again in 2 s.')
    await page.unrouteAll()
    await page.route('**/batches?id=*', (route) => route.abort('connectionreset'))
    await press(page, 'Try again')
    await page.getByText('The connection broke before').waitFor()
    await page.unrouteAll()
    await press(page, 'Try again')
    await headed(page, '3 rows are good')
  })

  it('has all of it though its answer was lost', async () => {
    const page = await open({ expected: [/ERR_CONNECTION/] })
    await page.route('**/batches?id=*', async (route) => {
      await route.fetch()
      await route.abort('connectionreset')
    })
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, '3 rows are good')
  })

  it('is not loaded twice where its answer was lost', async () => {
    const page = await open({ expected: [/ERR_CONNECTION/, /409 .*batches\?id=/] })
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, '3 rows are good')
    const before = (await batchesOf('dryRun=false&limit=200')).length
    const lose = async (route: Route): Promise<void> => {
      await route.fetch()
      await route.abort('connectionreset')
    }
    await page.route('**/batches?id=*', lose, { times: 1 })
    worker.signal('SIGSTOP')
    try {
      await press(page, 'Load 3 rows')
      await headed(page, 'Not loaded')
      await press(page, 'Try again')
      await page.getByText('It must end first: wait, or cancel it.').waitFor()
    } finally {
      worker.signal('SIGCONT')
    }
    await headed(page, '3 rows are visible')
    expect(await batchesOf('dryRun=false&limit=200')).toHaveLength(before + 1)
  })
})

describe('an upload that is stopped', () => {
  const large = csv(randomLines(120_000, { seed: 7, month: '2001-01', sorted: true }))

  it('is cancelled while it is sent', async () => {
    const page = await open()
    const network = await page.context().newCDPSession(page)
    const slow = { offline: false, latency: 0, downloadThroughput: 1e7, uploadThroughput: 3e5 }
    await network.send('Network.emulateNetworkConditions', slow)
    await choose(page, file('large.csv', large))
    await page.getByText(/ rows read/).waitFor()
    await press(page, 'Stop')
    await headed(page, 'Not checked')
    expect(await told(page)).toBe('The check was stopped.')
    await eventually(async () => (await batchesOf('dryRun=true&limit=1'))[0]?.error?.code === 'upload_broken', {
      within: 60_000,
      what: 'the batch being cancelled',
    })
  })

  /** Checks a file of the batch, then begins to load it. */
  async function load(page: Page, batch: TestBatch, before: () => Promise<void>): Promise<void> {
    await page.getByLabel('Batch id').fill(batch.id)
    await choose(page, file('a.csv', csv(batch.lines)))
    await headed(page, '3\u202f000 rows are good')
    await before()
    await press(page, 'Load 3\u202f000 rows')
    await headed(page, 'Loading')
  }

  it('is cancelled while it waits to be loaded, and nothing of it is visible', async () => {
    const batch = testBatch(3000)
    const page = await open()
    try {
      await load(page, batch, () => Promise.resolve(worker.signal('SIGSTOP')))
      await press(page, 'Stop')
      await headed(page, 'The load was stopped: nothing of it is visible')
    } finally {
      worker.signal('SIGCONT')
    }
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toMatchObject({ state: 'cancelled', visible: 'nothing' })
  })

  it('is told to be visible where that was faster', async () => {
    const batch = testBatch(3000)
    const page = await open({ expected: [/409 .*cancel/] })
    const packs = await holdPacks(line)
    await page.route('**/cancel', async (route) => {
      await packs.release()
      await line.reply(batch.id)
      await route.continue()
    })
    await load(page, batch, () => Promise.resolve())
    const refused = page.waitForResponse('**/cancel')
    await press(page, 'Stop')
    await headed(page, '3\u202f000 rows are visible')
    await refused
  })

  it('is not left without a question', async () => {
    const page = await open()
    const release = await hold(page)
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, 'Sending a.csv to be checked')
    await page.getByRole('heading', { level: 1 }).click() // browsers ask only where a person has done something
    const asked = page.waitForEvent('dialog')
    await page.close({ runBeforeUnload: true })
    const dialog = await asked
    expect(dialog.type()).toBe('beforeunload')
    await dialog.dismiss()
    release()
    await headed(page, '3 rows are good')
  })
})

describe.each(['light', 'dark'] as const)('in %s', (scheme) => {
  it('has no accessibility faults, on a phone neither', async () => {
    const page = await open({ scheme, touch: true, size: { width: 360, height: 740 } })
    expect(await accessibilityFaults(page)).toEqual([])
    await choose(page, file('bad.csv', csv(['CNGGZ,NLRTX,2026-11-02,1200', `x,${'y'.repeat(200)},2026-11-02,5`])))
    await headed(page, '2 of 2 rows break a rule')
    await page.getByRole('cell', { name: 'NLRTX', exact: true }).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    await choose(page, file('a.csv', csv(testBatch(3).lines)))
    await headed(page, '3 rows are good')
    expect(await accessibilityFaults(page)).toEqual([])
    await drop(page, file('a', Buffer.alloc(0)))
    await page.getByRole('alert').waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
  })
})
