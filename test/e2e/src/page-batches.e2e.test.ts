import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type BatchHeaders } from '@rates/core/wire'
import { chunkRecords, testBatch, type TestBatch } from '@rates/testing/batches'
import { accessibilityFaults, newPage, openBrowser, type PageOptions, type WatchedPage } from '@rates/testing/browser'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'
import { type Browser, type Locator, type Page } from 'playwright-core'

// The overview, the list and the pages of batches, as a person uses them.

let line: Line
let api: ServiceProcess & { url: string }
let browser: Browser
beforeAll(async () => {
  line = await startLine()
  const [started] = await Promise.all([startApiProcess(line), startWorkerProcess(line)])
  api = started
  browser = await openBrowser()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await line?.close()
})

let opened: WatchedPage[] = []
afterEach(async () => {
  const closing = opened
  opened = []
  for (const each of closing) await each.close()
})

async function open(path: string, options: Partial<PageOptions> = {}): Promise<Page> {
  const watched = await newPage(browser, { url: api.url, ...options })
  opened.push(watched)
  watched.page.setDefaultTimeout(20_000)
  await watched.page.goto(path)
  return watched.page
}

/** Sends the batch in so many chunks, or only the first of them. @returns what sends the others */
async function send(
  batch: TestBatch,
  headers: Partial<BatchHeaders> = {},
  chunks = 1,
  first = chunks,
): Promise<() => Promise<void>> {
  const all = { batchId: batch.id, ...headers }
  const records = await chunkRecords(line.topics.batches, all, batch.lines, { chunks })
  await line.send(records.slice(0, first))
  return () => line.send(records.slice(first))
}

async function sendToEnd(batch: TestBatch, headers: Partial<BatchHeaders> = {}): Promise<void> {
  await send(batch, headers)
  await line.reply(batch.id)
}

/** As many that have succeeded. */
const seedMany = (name: string, count: number): Promise<unknown> =>
  line.pool.query(
    `insert into batches (id, state, finished_at) select $1 || '-' || n, 'succeeded', now() from generate_series(1, $2::int) n`,
    [name, count],
  )

const region = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const cardOf = (page: Page, section: string, id: string): Locator =>
  region(page, section).getByRole('link').filter({ hasText: id })
const rowOf = (page: Page, id: string): Locator => page.locator('tbody tr').filter({ hasText: id })
const state = (page: Page, name: string): Promise<void> =>
  page.locator('.batch-title').getByText(name, { exact: true }).waitFor()
const shownIds = (page: Page): Promise<string[]> => page.locator('tbody a.row-link').allInnerTexts()
const press = (page: Page, button: string): Promise<void> =>
  page.getByRole('button', { name: button, exact: true }).click()
const confirm = (page: Page, action: string): Promise<void> =>
  page.getByRole('dialog').getByRole('button', { name: action, exact: true }).click()

describe('a system without batches', () => {
  it('tells how to send one, and shows it when it comes', async () => {
    const page = await open('/')
    await page.getByRole('heading', { name: 'No batch yet' }).waitFor()
    await page.getByText(`--data-binary @prices.csv ${api.url}/batches`).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    const list = await open('/batches')
    await list.getByText('There is no batch yet.').waitFor()
    const batch = testBatch(3, { id: 'the-first' })
    await send(batch)
    await cardOf(page, 'Published lately', batch.id).waitFor()
    await rowOf(list, batch.id).getByText('succeeded').waitFor()
  })
})

describe('a batch that is loading', () => {
  const batch = testBatch(400, { id: 'acme-loading' })

  it('appears everywhere without a reload, and is watched until it is published', async () => {
    const [overview, list, own] = await Promise.all([open('/'), open('/batches'), open(`/batches/${batch.id}`)])
    await own.getByText('Nothing has come of this batch yet.').waitFor()
    await rowOf(list, 'the-first').waitFor()
    const deadline = new Date(Date.now() + 3_600_000).toISOString()
    const sendRest = await send(batch, { source: 'acme', deadline }, 4, 2)
    const card = cardOf(overview, 'Loading now', batch.id)
    await card.getByText('50\u202f%').waitFor()
    expect(await card.getByRole('progressbar').getAttribute('value')).toBe('0.5')
    expect(await card.innerText()).toMatch(/200 rows.*of slack/s)
    await overview.getByText('1 batch loading').waitFor()
    await rowOf(list, batch.id).getByText('50\u202f%').waitFor()
    await region(own, 'Progress').getByText('50\u202f%').waitFor()
    expect(await own.title()).toBe(`50\u202f% ${batch.id} – Rates`)
    await sendRest()
    await cardOf(overview, 'Published lately', batch.id).getByText('400 rows').waitFor()
    await region(overview, 'Loading now').getByText('Nothing is being loaded.').waitFor()
    await rowOf(list, batch.id).getByText('succeeded').waitFor()
    await state(own, 'succeeded')
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    // What the page says of it is what the ledger says.
    expect(await region(own, 'Rows').innerText()).toMatch(
      /accepted\s+400\s+rejected\s+0\s+expected\s+400\s+chunks\s+4 of 4/,
    )
    expect(await region(own, 'Phases').innerText()).toMatch(/queue.*load.*publish/s)
    await own.getByText(batch.digest).waitFor()
    // The newest is at the top, without that anybody had to ask for it.
    expect(await shownIds(list)).toEqual([batch.id, 'the-first'])
  })

  it('can be cancelled', async () => {
    const going = testBatch(100)
    await send(going, {}, 2, 1)
    const page = await open(`/batches/${going.id}`)
    await press(page, 'Cancel')
    await confirm(page, 'Back')
    expect(await page.getByRole('dialog').count()).toBe(0)
    await press(page, 'Cancel')
    await confirm(page, 'Cancel the batch')
    await state(page, 'cancelled')
    await line.reply(going.id)
    expect(await factsOf(line, going)).toMatchObject({ state: 'cancelled', visible: 'nothing' })
  })
})

describe('a bad batch', () => {
  const batch = testBatch(3000, { id: 'bad-one' })
  for (let i = 0; i < 1200; i++) batch.lines[2 * i] = 'CNSGH,NLRTX,2026-11-02,1840'
  batch.lines[1] = 'CNSGH,NLRTM,2026-11-31,1795'
  batch.lines[3] = 'HKHKG,DEHAM,2026-11-17,-3'

  it('shows why, and its rows, to filter and to download', async () => {
    const [overview, page] = await Promise.all([open('/'), open(`/batches/${batch.id}`)])
    await send(batch, { source: 'harbour' })
    await cardOf(overview, 'Failed lately', batch.id).getByText('rejected_rows').waitFor()
    await state(page, 'failed')
    await region(page, 'Error').getByText('1202 of 3000 rows break a rule').waitFor()
    await page.getByText('These are the first 1\u202f000 of 1\u202f202').waitFor()
    const rows = region(page, 'The bad rows').locator('tbody tr')
    expect(await rows.count()).toBe(20)
    expect((await rows.nth(1).innerText()).split(/\s+/)).toEqual([
      '2',
      'day',
      '2026-11-31',
      'not_a_date',
      batch.lines[1],
    ])
    expect(await rows.nth(1).locator('mark').innerText()).toBe('2026-11-31')
    await press(page, 'not_a_date 1')
    await page.getByRole('button', { name: 'price_out_of_range 1', pressed: false }).click()
    await page.getByText('2 of 1\u202f000 rows.').waitFor()
    expect(await rows.locator('td:first-child').allInnerTexts()).toEqual(['2', '4'])
    await page.getByLabel('Search the bad rows').fill('hkhkg')
    await page.getByText('1 of 1\u202f000 rows.').waitFor()
    expect(await rows.locator('td:first-child').allInnerTexts()).toEqual(['4'])
    await press(page, 'not_a_date 1')
    await press(page, 'price_out_of_range 1')
    await page.getByLabel('Search the bad rows').fill('')
    await press(page, 'Show all 1\u202f000')
    expect(await rows.count()).toBe(1000)
    for (const [name, pattern] of [
      ['All as CSV', /^\d+,0,\d+,/gm],
      ['as NDJSON', /^{"row":\d+/gm],
    ] as const) {
      const downloading = page.waitForEvent('download')
      await page.getByRole('link', { name }).click()
      const download = await downloading
      expect(download.suggestedFilename()).toMatch(/^bad-one-errors\.(csv|ndjson)$/)
      expect((await readFile(await download.path(), 'utf8')).match(pattern)).toHaveLength(1202)
    }
  })

  it('runs again once its port was added, as a new batch', async () => {
    const wanting = testBatch(40, { id: 'wants-a-port' })
    const one = { ...wanting, lines: wanting.lines.map((text, i) => (i < 3 ? text.replace(/^\w+/, 'ZZNEW') : text)) }
    await sendToEnd(one)
    const page = await open(`/batches/${one.id}`, { expected: [/409 .*retry/] })
    await region(page, 'Error').getByText('unknown_port').waitFor()
    const added = await fetch(`${api.url}/ports/ZZNEW`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'New', region: 'world' }),
    })
    expect(added.ok).toBe(true)
    await press(page, 'Run again')
    await confirm(page, 'Run it again')
    await page.waitForURL(`${api.url}/batches/${one.id}.retry-1`)
    await state(page, 'succeeded')
    await region(page, 'Belongs to').getByRole('link', { name: one.id, exact: true }).click()
    await region(page, 'Belongs to')
      .getByRole('link', { name: `${one.id}.retry-1` })
      .waitFor()
    // Once more: the records are visible already, which the service refuses in its own words.
    await press(page, 'Run again')
    await confirm(page, 'Run it again')
    const refusal = await page.getByRole('dialog').getByRole('alert').innerText()
    expect(refusal).toContain(`${one.id}.retry-1`)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })
})

describe('a batch that succeeded', () => {
  it('is reverted by the keyboard alone', async () => {
    const batch = testBatch(30)
    await sendToEnd(batch)
    const page = await open(`/batches/${batch.id}`)
    const button = page.getByRole('button', { name: 'Revert', exact: true })
    await button.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('Its 30 prices disappear').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Revert')
    expect(await factsOf(line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Enter')
    await state(page, 'reverted')
    expect(await page.evaluate('document.activeElement.id')).toBe('main')
    expect(await factsOf(line, batch)).toMatchObject({ state: 'reverted', visible: 'nothing' })
    await region(page, 'Times, UTC').getByText('reverted').waitFor()
  })

  it('stays if the service refuses, which is told in its words', async () => {
    const batch = testBatch(30)
    await sendToEnd(batch)
    await line.pool.query(`update batches set finished_at = finished_at - interval '9 days' where id = $1`, [batch.id])
    const page = await open(`/batches/${batch.id}`, { expected: [/409 .*revert/] })
    await press(page, 'Revert')
    await confirm(page, 'Revert it')
    await page.getByRole('alert').filter({ hasText: 'only within 7 days could it be reverted' }).waitFor()
    await confirm(page, 'Back')
    await state(page, 'succeeded')
  })

  it('is another one than the dry run of its id', async () => {
    const batch = testBatch(20, { id: 'rehearsed' })
    await sendToEnd(batch, { dryRun: true })
    await send(batch)
    const page = await open('/batches?q=rehearsed')
    await rowOf(page, batch.id).nth(1).waitFor()
    expect(await rowOf(page, batch.id).filter({ hasText: 'dry run' }).count()).toBe(1)
    await rowOf(page, batch.id).filter({ hasText: 'dry run' }).getByRole('link').click()
    await page.waitForURL(`${api.url}/batches/rehearsed?dryRun=true`)
    await page.getByRole('heading', { name: 'Dry run rehearsed' }).waitFor()
    await state(page, 'succeeded')
    expect(await page.getByRole('button', { name: 'Revert' }).count()).toBe(0)
    await region(page, 'Belongs to').getByRole('link', { name: 'rehearsed' }).click()
    await page.getByRole('heading', { name: 'Batch rehearsed' }).waitFor()
    await page.getByRole('button', { name: 'Revert' }).waitFor()
    await page.goto('/batches?q=rehearsed')
    await page.getByLabel('Dry runs').selectOption('without dry runs')
    await rowOf(page, batch.id).nth(1).waitFor({ state: 'detached' })
    expect(page.url()).toBe(`${api.url}/batches?q=rehearsed&dryRun=false`)
    expect(await shownIds(page)).toEqual(['rehearsed'])
  })
})

describe('the list', () => {
  const [north, south] = [testBatch(5, { id: 'found-north-1' }), testBatch(5, { id: 'found-south-2' })]
  const failing = { ...testBatch(1, { id: 'found-bad-3' }), lines: ['CNSGH,NLRTM,2026-11-31,5'] }

  it('is searched by id, source and error, and its address is the search', async () => {
    await sendToEnd(north, { source: 'nordic' })
    await sendToEnd(south, { source: 'meridian' })
    await sendToEnd(failing, { source: 'meridian' })
    const page = await open('/batches')
    const finds = async (...ids: string[]): Promise<void> => {
      await eventually(async () => String(await shownIds(page)) === String(ids), { what: `only ${String(ids)}` })
    }
    const search = page.getByLabel('Search by id, source and error')
    await rowOf(page, north.id).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('found')
    await finds(failing.id, south.id, north.id)
    expect(await page.locator('mark').allInnerTexts()).toEqual(['found', 'found', 'found'])
    await search.fill('merid found')
    await finds(failing.id, south.id)
    await search.fill('not_a_date meridian')
    await finds(failing.id)
    await page.waitForURL(/q=not_a_date\+meridian$/)
    await page.reload()
    await finds(failing.id)
    expect(await search.inputValue()).toBe('not_a_date meridian')
    await search.fill('found')
    await press(page, 'failed')
    await finds(failing.id)
    await press(page, 'succeeded')
    await finds(failing.id, south.id, north.id)
    await page.waitForURL(/state=succeeded,failed&q=found$/)
    await page.getByLabel('Source', { exact: true }).fill('nordic')
    await finds(north.id)
    await search.fill('nobody')
    await page.getByText('No batch is so.').waitFor()
    await page.keyboard.press('Escape')
    await rowOf(page, 'the-first').waitFor()
    expect(page.url()).toBe(`${api.url}/batches`)
  })

  it('keeps what is new back while it is filtered, and says how much that is', async () => {
    const page = await open('/batches?state=succeeded&q=found')
    await rowOf(page, north.id).waitFor()
    const [third, other] = [testBatch(5, { id: 'found-third' }), testBatch(5, { id: 'elsewhere' })]
    await sendToEnd(other)
    await sendToEnd(third)
    await page.getByRole('button', { name: '1 new', exact: true }).waitFor()
    expect(await shownIds(page)).toEqual([south.id, north.id])
    await press(page, '1 new')
    expect(await shownIds(page)).toEqual([third.id, south.id, north.id])
    expect(await page.getByRole('button', { name: /new$/ }).count()).toBe(0)
  })

  it('is walked along by keys, and come back to', async () => {
    const page = await open('/batches?q=found')
    await rowOf(page, north.id).waitFor()
    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.textContent')
    for (const [key, id] of [
      ['j', 'found-third'],
      ['j', failing.id],
      ['ArrowDown', south.id],
      ['k', failing.id],
    ] as const) {
      await page.keyboard.press(key)
      expect(await focused()).toBe(id)
    }
    await page.keyboard.press('Enter')
    await page.waitForURL(`${api.url}/batches/${failing.id}`)
    await state(page, 'failed')
    await page.goBack()
    await rowOf(page, south.id).waitFor()
    expect(await focused()).toBe(failing.id)
    await page.keyboard.press('ArrowUp')
    expect(await focused()).toBe('found-third')
    await page.keyboard.press('?')
    await page.getByText('along the rows').waitFor()
    await page.keyboard.press('?')
    await page.getByText('along the rows').waitFor({ state: 'detached' })
  })

  it('has older pages, and does not move while somebody reads further down', async () => {
    await seedMany('many', 120)
    const page = await open('/batches')
    await rowOf(page, 'many-120').waitFor()
    expect((await shownIds(page)).length).toBe(50)
    await page.getByRole('button', { name: 'More' }).scrollIntoViewIfNeeded()
    await rowOf(page, 'many-65').waitFor()
    await eventually(async () => (await shownIds(page)).length >= 100, { what: 'the second page' })
    expect((await shownIds(page)).slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => `many-${120 - i}`))
    const place = (): Promise<unknown> =>
      page.evaluate(`document.querySelectorAll('a.row-link')[60].getBoundingClientRect().y`)
    const before = await place()
    await sendToEnd(testBatch(3, { id: 'while-reading' }))
    await page.getByRole('button', { name: '1 new', exact: true }).waitFor()
    expect(await place()).toBe(before)
    await press(page, '1 new')
    expect((await shownIds(page)).slice(0, 2)).toEqual(['while-reading', 'many-120'])
    expect(await page.evaluate('scrollY')).toBe(0)
  })
})

describe('a service that is away', () => {
  const expected = [/ERR_CONNECTION_REFUSED/, /ERR_INCOMPLETE_CHUNKED_ENCODING/, /ERR_CONNECTION_RESET/]
  /** Kills it, waits until the pages say so, and starts it again. */
  async function restart(pages: readonly Page[], meanwhile: () => Promise<unknown>): Promise<void> {
    const notes = pages.map((page) => page.getByText('The service is not heard'))
    api.signal('SIGKILL')
    await api.exited
    for (const note of notes) await note.waitFor()
    await meanwhile()
    api = await startApiProcess(line, { PORT: new URL(api.url).port })
    for (const note of notes) await note.waitFor({ state: 'detached' })
  }

  it('is told, and what has happened meanwhile is there when it is back', async () => {
    const [going, meanwhile] = [testBatch(100, { id: 'goes-on' }), testBatch(10, { id: 'meanwhile' })]
    const sendRest = await send(going, {}, 2, 1)
    const overview = await open('/', { expected })
    const list = await open('/batches', { expected })
    const own = await open(`/batches/${going.id}`, { expected })
    await cardOf(overview, 'Loading now', going.id).waitFor()
    await rowOf(list, going.id).getByText('50\u202f%').waitFor()
    await region(own, 'Progress').waitFor()
    await restart([overview, list, own], async () => {
      await sendRest()
      await sendToEnd(meanwhile)
      await line.reply(going.id)
    })
    await cardOf(overview, 'Published lately', going.id).waitFor()
    await cardOf(overview, 'Published lately', meanwhile.id).waitFor()
    await rowOf(list, going.id).getByText('succeeded').waitFor()
    await rowOf(list, meanwhile.id).waitFor()
    await state(own, 'succeeded')
  })

  it('has so much to tell when it is back that it tells only the newest', async () => {
    const going = testBatch(100, { id: 'forgotten' })
    const sendRest = await send(going, {}, 2, 1)
    const overview = await open('/', { expected })
    const list = await open('/batches', { expected })
    const searched = await open('/batches?q=forgotten', { expected })
    await cardOf(overview, 'Loading now', going.id).waitFor()
    for (const page of [list, searched]) await rowOf(page, going.id).getByText('50\u202f%').waitFor()
    await restart([overview, list, searched], async () => {
      await sendRest()
      await line.reply(going.id)
      await seedMany('more', 60)
    })
    await region(overview, 'Loading now').getByText('Nothing is being loaded.').waitFor()
    await rowOf(searched, going.id).getByText('succeeded').waitFor()
    await rowOf(list, 'more-60').waitFor()
    expect(await shownIds(list)).toEqual(Array.from({ length: 50 }, (_, i) => `more-${60 - i}`))
  })
})

describe.each(['light', 'dark'] as const)('in %s', (scheme) => {
  const long = 'x'.repeat(128)
  const views = [
    '/',
    '/batches',
    '/batches?q=found',
    '/batches/bad-one',
    '/batches/acme-loading',
    '/batches/nobody-yet',
    `/batches/${long}`,
  ]

  it.each(['desktop', 'phone'] as const)(
    'no view has accessibility faults on a %s, nor is wider than it',
    async (device) => {
      if (scheme === 'light' && device === 'desktop') {
        await sendToEnd(testBatch(2, { id: long }), { source: 'y'.repeat(200) })
        await send(testBatch(50, { id: 'open-one' }), { deadline: '2030-01-01T00:00:00Z', onDeadline: 'flag' }, 2, 1)
      }
      const size = device === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 800 }
      const page = await open('/', { scheme, size, touch: device === 'phone' })
      const check = async (): Promise<void> => {
        expect(await accessibilityFaults(page)).toEqual([])
        const widths = await page.evaluate('[location.href, document.documentElement.scrollWidth, innerWidth]')
        expect(widths).toEqual([page.url(), size.width, size.width])
      }
      for (const path of [...views, '/batches/open-one']) {
        await page.goto(path)
        await page.locator('.pulse a, .pulse span, tbody tr, .facts-columns, .waiting').first().waitFor()
        if (path === '/batches/bad-one') await page.locator('table.errors').waitFor()
        await check()
      }
      await press(page, 'Cancel')
      await page.getByRole('dialog').waitFor()
      await check()
    },
  )
})
