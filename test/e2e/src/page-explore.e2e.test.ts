import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { accessibilityFaults, newPage, openBrowser, type PageOptions, type WatchedPage } from '@rates/testing/browser'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { readFile } from 'node:fs/promises'
import { type Browser, type Locator, type Page } from 'playwright-core'

// The view "Rates" of the page, as a person uses it.

/** Days of January 2026, and the prices of each that two batches have. */
const PRICES: Record<string, { acme?: number[]; bulk?: number[] }> = {
  '01': { acme: [1000, 1100], bulk: [1500] },
  '02': { acme: [1000, 1100] },
  '04': { acme: [2000, 2000, 2000] },
  '05': { acme: [2000, 2100, 2200, 2301] },
}
/** As the table of the days has them. */
const TABLE = [
  ['2026-01-07', '–', '0'],
  ['2026-01-06', '–', '0'],
  ['2026-01-05', '2\u202f150.25', '4'],
  ['2026-01-04', '2\u202f000', '3'],
  ['2026-01-03', '–', '0'],
  ['2026-01-02', 'too few', '2'],
  ['2026-01-01', '1\u202f200', '3'],
]
const RANGE = 'from=2026-01-01&to=2026-01-07'
const WHOLE = `/explore?orig=CNGGZ&dest=NLRTM&${RANGE}`

let line: Line
let url: string
let browser: Browser
beforeAll(async () => {
  line = await startLine()
  const [api] = await Promise.all([startApiProcess(line), startWorkerProcess(line)])
  url = api.url
  await put('regions/north_europe', { name: 'North Europe', parent: 'world' })
  await put('ports/NLRTM', { name: 'Rotterdam', region: 'north_europe' })
  await put('ports/DEHAM', { name: 'Hamburg', region: 'north_europe' })
  for (const source of ['acme', 'bulk'] as const) {
    const lines = Object.entries(PRICES).flatMap(([day, prices]) =>
      (prices[source] ?? []).map((price) => `CNGGZ,NLRTM,2026-01-${day},${price}\n`),
    )
    const headers = { 'content-type': 'text/csv', 'batch-id': `${source}-1`, source }
    await fetch(`${url}/batches`, { method: 'POST', headers, body: lines.join('') })
    await line.reply(`${source}-1`)
  }
  browser = await openBrowser()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await line?.close()
})

async function put(path: string, entry: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/${path}`, { method: 'PUT', headers, body: JSON.stringify(entry) })
  if (!answer.ok) throw new Error(await answer.text())
}

let opened: WatchedPage | undefined
afterEach(async () => {
  const closing = opened
  opened = undefined
  await closing?.close()
})

async function open(path: string, options: Partial<PageOptions> = {}): Promise<Page> {
  opened = await newPage(browser, { url, ...options })
  await opened.page.clock.setFixedTime('2026-11-21T12:00:00Z')
  await opened.page.goto(path)
  return opened.page
}

const from = (page: Page): Locator => page.getByRole('combobox', { name: 'From' })
const to = (page: Page): Locator => page.getByRole('combobox', { name: 'To' })
const daysTable = (page: Page): Locator => page.getByRole('group').filter({ hasText: 'The days as a table' })
const openTable = (page: Page): Promise<void> => page.getByText('The days as a table').click()

/** Waits until the table of the days is this. */
async function expectDays(page: Page, rows: string[][]): Promise<void> {
  const table = daysTable(page).getByRole('row')
  const read = async (): Promise<string[][]> => (await table.allInnerTexts()).slice(1).map((row) => row.split('\t'))
  await eventually(async () => JSON.stringify(await read()) === JSON.stringify(rows), { what: 'the table' }).catch(
    () => undefined,
  )
  expect(await read()).toEqual(rows)
}

/** How many pixels of the averages have a colour in the column of each day; `between`: right after it. */
const inked = (page: Page, days: number, colour: string, between = 0): Promise<number[]> =>
  page.evaluate(`(() => {
    const box = document.querySelector('.chart .u-over').getBoundingClientRect()
    const canvas = document.querySelector('.chart canvas')
    const left = (box.left - canvas.getBoundingClientRect().left) * devicePixelRatio
    const context = canvas.getContext('2d')
    return Array.from({ length: ${days} }, (_, day) => {
      const x = Math.round(left + (day + 0.5 + ${between}) / ${days} * box.width * devicePixelRatio)
      const { data } = context.getImageData(x, 0, 1, canvas.height)
      let found = 0
      for (let at = 0; at < data.length; at += 4)
        if ('#' + [0, 1, 2].map((i) => data[at + i].toString(16).padStart(2, '0')).join('') === '${colour}') found++
      return found
    })
  })()`)
/** The accent of a scheme, which is what averages are drawn with. */
const accent = async (page: Page): Promise<string> =>
  page.evaluate(`getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()`)

const withInk = (counts: number[]): (0 | 'ink')[] => counts.map((count) => (count === 0 ? 0 : 'ink'))

describe('by the keyboard alone', () => {
  it('two places are found, their days read, and a day followed to its batch', async () => {
    const page = await open(`/explore?${RANGE}`, { timezone: 'America/Los_Angeles' })
    const { keyboard } = page
    const tabTo = async (target: Locator): Promise<void> => {
      await target.waitFor()
      for (let i = 0; i < 40; i++) {
        if (await target.evaluate((element) => element === element.ownerDocument.activeElement)) return
        await keyboard.press('Tab')
      }
      throw new Error('the keyboard does not get there')
    }
    await tabTo(from(page))
    await keyboard.type('cng')
    await page.getByRole('option', { name: 'CNGGZ' }).waitFor()
    await keyboard.press('Enter')
    await tabTo(to(page))
    await keyboard.type('eur')
    expect(await page.getByRole('option').allInnerTexts()).toEqual([
      expect.stringMatching(/^region\s+North Europe\s+north_europe, 2 ports, World$/),
      expect.stringMatching(/^port\s+DEHAM Hamburg North Europe, World$/),
      expect.stringMatching(/^port\s+NLRTM Rotterdam North Europe, World$/),
    ])
    await keyboard.press('ArrowUp') // round to the last one
    expect(await page.getByRole('option', { selected: true }).innerText()).toContain('NLRTM')
    await keyboard.press('Tab')
    expect(await to(page).inputValue()).toBe('NLRTM Rotterdam')
    await page.getByText('7 days: 3 with an average, 1 with too few prices for one, 3 without any.').waitFor()
    expect(new URL(page.url()).search).toBe(`?orig=CNGGZ&dest=NLRTM&${RANGE}`)

    await tabTo(page.getByText('The days as a table'))
    await keyboard.press('Enter')
    await expectDays(page, TABLE)
    await tabTo(daysTable(page).getByRole('button', { name: '2026-01-01' }))
    await keyboard.press('Enter')
    const heading = page.getByRole('heading', { name: '2026-01-01: average 1\u202f200 of 3 prices' })
    await heading.waitFor()
    expect(await heading.evaluate((element) => element === element.ownerDocument.activeElement)).toBe(true)
    const batches = page.getByRole('region', { name: 'Batches of the day' }).getByRole('row')
    expect(await batches.allInnerTexts()).toEqual([
      'batch\tsource\tprices\ttheir average',
      'acme-1\tacme\t2\t1\u202f050',
      'bulk-1\tbulk\t1\t1\u202f500',
    ])
    await tabTo(page.getByRole('link', { name: 'bulk-1' }))
    await keyboard.press('Enter')
    await page.waitForURL(`${url}/batches/bulk-1`)
    await page.goBack()
    await heading.waitFor()
    expect(new URL(page.url()).search).toBe(`?orig=CNGGZ&dest=NLRTM&${RANGE}&day=2026-01-01`)
  })

  it('a choice is taken back, and the places are swapped', async () => {
    const page = await open(WHOLE)
    await from(page).fill('deham')
    await page.getByRole('option').first().waitFor()
    await page.keyboard.press('Escape')
    expect(await page.getByRole('option').count()).toBe(0)
    expect(await from(page).inputValue()).toBe('CNGGZ')
    await from(page).fill('nowhere')
    await page.getByText('No such place.').waitFor()
    await page.keyboard.press('Tab')
    expect(await from(page).inputValue()).toBe('CNGGZ')
    await page.getByRole('button', { name: 'Swap the places' }).press('Enter')
    await page.getByText('There are no prices of these days. Nor are there any').waitFor()
    expect([await from(page).inputValue(), await to(page).inputValue()]).toEqual(['NLRTM Rotterdam', 'CNGGZ'])
  })
})

describe('the chart', () => {
  it.each(['America/Los_Angeles', 'Pacific/Kiritimati'])(
    'has its days where they are in UTC, seen from %s',
    async (timezone) => {
      const page = await open('/explore', { timezone })
      await page.addInitScript(`globalThis.drawn = []
        const { fillText } = CanvasRenderingContext2D.prototype
        CanvasRenderingContext2D.prototype.fillText = function (text, x, ...more) {
          drawn.push([text, x / devicePixelRatio + this.canvas.getBoundingClientRect().left])
          return fillText.call(this, text, x, ...more)
        }`)
      await page.goto(WHOLE)
      const chart = page.locator('.chart .u-over').first()
      await chart.click({ position: await centreOf(chart, 4) })
      await page.getByRole('heading', { name: '2026-01-05: average 2\u202f150.25 of 4 prices' }).waitFor()
      await chart.hover({ position: await centreOf(chart, 1) })
      await page.getByText('2026-01-02 2 prices: too few for an average').waitFor()
      const drawn = new Map(await page.evaluate<[string, number][]>('drawn'))
      const { x, width } = (await chart.boundingBox())!
      for (let day = 0; day < 7; day++) {
        const away = drawn.get(`${day + 1} Jan`)! - (x + ((day + 0.5) / 7) * width)
        expect(Math.abs(away)).toBeLessThan(2)
      }
    },
  )

  it('joins nothing over a day without an average, and shows one that is alone', async () => {
    const page = await open(WHOLE)
    await page.getByText('7 days').waitFor()
    await page.locator('.chart .u-over').first().waitFor() // the chart is a script of its own
    const colour = await accent(page)
    expect(withInk(await inked(page, 7, colour))).toEqual(['ink', 0, 0, 'ink', 'ink', 0, 0])
    expect(withInk(await inked(page, 7, colour, 0.5))).toEqual([0, 0, 0, 'ink', 0, 0, 0])
  })

  it('is drawn anew in the other scheme, and in the width that there is', async () => {
    const page = await open(WHOLE)
    await page.getByText('7 days').waitFor()
    await page.locator('.chart .u-over').first().waitFor() // the chart is a script of its own
    const light = await accent(page)
    expect((await inked(page, 7, light))[3]).toBeGreaterThan(0)
    await page.emulateMedia({ colorScheme: 'dark' })
    const dark = await accent(page)
    expect(dark).not.toBe(light)
    await eventually(async () => ((await inked(page, 7, dark))[3] ?? 0) > 0, { what: 'the chart in dark colours' })
    expect((await inked(page, 7, light))[3]).toBe(0)
    await page.setViewportSize({ width: 500, height: 800 })
    const width = async (): Promise<number> => (await page.locator('.chart canvas').first().boundingBox())!.width
    await eventually(async () => (await width()) < 480, { what: 'a narrow chart' })
    expect(await width()).toBeGreaterThan(400)
  })
})

/** The middle of a day of the seven. */
async function centreOf(chart: Locator, day: number): Promise<{ x: number; y: number }> {
  const { width, height } = (await chart.boundingBox())!
  return { x: ((day + 0.5) / 7) * width, y: height / 2 }
}

describe('the range', () => {
  it('is the last three months, and leads to where prices are', async () => {
    const page = await open('/explore?orig=CNGGZ&dest=north_europe')
    expect(await page.getByRole('button', { name: '3 months' }).getAttribute('aria-pressed')).toBe('true')
    await page.getByRole('button', { name: 'Show the newest ones, until 2026-01-05' }).click()
    await page.getByText('90 days: 3 with an average').waitFor()
    expect(await page.getByLabel('Last day').inputValue()).toBe('2026-01-05')
  })

  it('is what is typed and pressed, and says why not', async () => {
    const page = await open(WHOLE)
    await page.getByLabel('First day').fill('2026-01-04')
    await openTable(page)
    await expectDays(page, TABLE.slice(0, 4))
    await page.getByRole('button', { name: '10 years' }).click()
    await page.getByText('3\u202f660 days: 3 with an average').waitFor()
    await page.getByLabel('First day').fill('2015-01-01')
    expect(await page.getByRole('alert').innerText()).toBe(
      'These are 4025 days; 3660 (ten years) can be asked for at once.',
    )
    await page.getByLabel('First day').fill('2027-01-01')
    await page.getByText('The last day lies before the first one.').waitFor()
    await page.getByRole('button', { name: '1 month' }).click()
    await page.getByText('30 days: 3 with an average').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
  })
})

describe('an address', () => {
  it('shows the same to whoever gets it', async () => {
    const page = await open(`/explore?orig=CNGGZ&dest=world&${RANGE}&day=2026-01-04`)
    await page.getByRole('heading', { name: '2026-01-04: average 2\u202f000 of 3 prices' }).waitFor()
    expect(await to(page).inputValue()).toBe('World (region)')
    await openTable(page)
    await expectDays(page, TABLE)
  })

  it('may name a place that is not there', async () => {
    const page = await open(`/explore?orig=XXXXX&dest=NLRTM&${RANGE}`)
    await page.getByText('There is no port or region XXXXX.').waitFor()
    expect(await from(page).inputValue()).toBe('XXXXX')
  })
})

describe('answers', () => {
  it('that come too late are not waited for', async () => {
    const page = await open(WHOLE)
    await page.getByText('7 days: 3 with an average').waitFor()
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    await page.route('**/rates?date_from=2026-01-02*', async (route) => {
      await held
      await route.continue().catch(() => undefined)
    })
    await page.getByLabel('First day').fill('2026-01-02')
    expect(await page.getByText('7 days').isVisible()).toBe(true) // no flicker: what was there stays
    const given = page.waitForEvent('requestfailed', (request) => request.url().includes('date_from=2026-01-02'))
    await page.getByLabel('First day').fill('2026-01-04')
    expect((await given).failure()).toEqual({ errorText: 'net::ERR_ABORTED' })
    await page.getByText('4 days: 2 with an average').waitFor()
    release()
  })

  it('that are refusals are told, and asked for again', async () => {
    const page = await open('/explore', { expected: [/503/] })
    const problem = { title: 'Service Unavailable', status: 503, detail: 'PostgreSQL is away.' }
    await page.route('**/rates?*', (route) => route.fulfill({ status: 503, json: problem }))
    await page.goto(WHOLE)
    await page.getByRole('alert').filter({ hasText: 'PostgreSQL is away.' }).waitFor()
    await page.unrouteAll()
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('7 days: 3 with an average').waitFor()
  })

  it('are there as CSV, and by the API', async () => {
    const page = await open(WHOLE)
    const query = 'date_from=2026-01-01&date_to=2026-01-07&orig_code=CNGGZ&dest_code=NLRTM'
    await page.getByText(`curl '${url}/rates?${query}'`).waitFor()
    const downloading = page.waitForEvent('download')
    await page.getByRole('link', { name: 'CSV' }).click()
    const download = await downloading
    expect(download.suggestedFilename()).toBe('rates-CNGGZ-NLRTM-2026-01-01-2026-01-07.csv')
    const answer = await fetch(`${url}/rates?${query}&format=csv`)
    expect(await readFile(await download.path(), 'utf8')).toBe(await answer.text())
    expect(answer.headers.get('content-type')).toContain('text/csv')
  })
})

describe.each(['light', 'dark'] as const)('in %s', (scheme) => {
  it('has no accessibility faults, and works by touch on a phone', async () => {
    const page = await open(`/explore?${RANGE}`, { scheme, touch: true, size: { width: 360, height: 740 } })
    await from(page).tap()
    await page.getByRole('option', { name: 'CNGGZ' }).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.getByRole('option', { name: 'CNGGZ' }).tap()
    await to(page).tap()
    await page.getByRole('option', { name: 'NLRTM' }).tap()
    const chart = page.locator('.chart .u-over').first()
    await chart.tap({ position: await centreOf(chart, 0) })
    await page.getByRole('link', { name: 'acme-1' }).waitFor()
    await openTable(page)
    await expectDays(page, TABLE)
    expect(await accessibilityFaults(page)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
  })
})
