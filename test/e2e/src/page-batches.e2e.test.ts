import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { testBatch } from '@rates/testing/batches'
import { accessibilityFaults } from '@rates/testing/browser'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startApiProcess } from '@rates/testing/workers'
import { type Page } from 'playwright-core'
import { cardOf, press, region, rowOf, shownIds, startPerson, state, type Person } from './page-person.ts'

// The overview and the list of batches, as a person uses them.

let person: Person
beforeAll(async () => {
  person = await startPerson()
}, 120_000)
afterEach(() => person.leave())
afterAll(() => person?.close())

/** As many that have succeeded. */
const seedMany = (name: string, count: number): Promise<unknown> =>
  person.line.pool.query(
    `insert into batches (id, state, finished_at) select $1 || '-' || n, 'succeeded', now() from generate_series(1, $2::int) n`,
    [name, count],
  )

describe('a system without batches', () => {
  it('tells how to send one, and shows it when it comes', async () => {
    const page = await person.open('/')
    await page.getByRole('heading', { name: 'No batch yet' }).waitFor()
    await page.getByText(`--data-binary @prices.csv ${person.api.url}/batches`).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    const list = await person.open('/batches')
    await list.getByText('There is no batch yet.').waitFor()
    const batch = testBatch(3, { id: 'the-first' })
    await person.send(batch)
    await cardOf(page, 'Published lately', batch.id).waitFor()
    await rowOf(list, batch.id).getByText('succeeded').waitFor()
  })
})

describe('a batch that is loading', () => {
  const batch = testBatch(400, { id: 'acme-loading' })

  it('appears everywhere without a reload, and is watched until it is published', async () => {
    const [overview, list, own] = await Promise.all([
      person.open('/'),
      person.open('/batches'),
      person.open(`/batches/${batch.id}`),
    ])
    await own.getByText('Nothing has come of this batch yet.').waitFor()
    await rowOf(list, 'the-first').waitFor()
    const deadline = new Date(Date.now() + 3_600_000).toISOString()
    const sendRest = await person.send(batch, { source: 'acme', deadline }, 4, 2)
    const card = cardOf(overview, 'Loading now', batch.id)
    await card.getByText('50\u202f%').waitFor()
    expect(await card.getByRole('progressbar').getAttribute('value')).toBe('0.5')
    expect(await card.innerText()).toMatch(/200 rows.*of slack/s)
    await overview.getByText('1 batch loading').waitFor()
    await rowOf(list, batch.id).getByText('50\u202f%').waitFor()
    await region(own, 'Progress').getByText('50\u202f%').waitFor()
    const title = `50\u202f% ${batch.id} – Rates`
    await eventually(async () => (await own.title()) === title, { what: `the title ${title}` })
    await sendRest()
    await cardOf(overview, 'Published lately', batch.id).getByText('400 rows').waitFor()
    await region(overview, 'Loading now').getByText('Nothing is being loaded.').waitFor()
    await rowOf(list, batch.id).getByText('succeeded').waitFor()
    await state(own, 'succeeded')
    await person.line.reply(batch.id)
    expect(await factsOf(person.line, batch)).toEqual(succeeded(batch))
    // What the page says of it is what the ledger says.
    expect(await region(own, 'Rows').innerText()).toMatch(
      /accepted\s+400\s+rejected\s+0\s+expected\s+400\s+chunks\s+4 of 4/,
    )
    expect(await region(own, 'Phases').innerText()).toMatch(/queue.*load.*publish/s)
    await own.getByText(batch.digest).waitFor()
    // The newest is at the top, without that anybody had to ask for it.
    expect(await shownIds(list)).toEqual([batch.id, 'the-first'])
  })
})

describe('the list', () => {
  const [north, south] = [testBatch(5, { id: 'found-north-1' }), testBatch(5, { id: 'found-south-2' })]
  const failing = { ...testBatch(1, { id: 'found-bad-3' }), lines: ['CNSGH,NLRTM,2026-11-31,5'] }

  it('is searched by id, source and error, and its address is the search', async () => {
    await person.sendToEnd(north, { source: 'nordic' })
    await person.sendToEnd(south, { source: 'meridian' })
    await person.sendToEnd(failing, { source: 'meridian' })
    const page = await person.open('/batches')
    const finds = async (...ids: string[]): Promise<void> => {
      await eventually(async () => String(await shownIds(page)) === String(ids), { what: `only ${String(ids)}` })
    }
    const search = page.getByLabel('Search by id, source and error')
    await rowOf(page, north.id).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('found')
    await page.waitForURL(/q=found$/)
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
    expect(page.url()).toBe(`${person.api.url}/batches`)
  })

  it('keeps what is new back while it is filtered, and says how much that is', async () => {
    const page = await person.open('/batches?state=succeeded&q=found')
    await rowOf(page, north.id).waitFor()
    const [third, other] = [testBatch(5, { id: 'found-third' }), testBatch(5, { id: 'elsewhere' })]
    await person.sendToEnd(other)
    await person.sendToEnd(third)
    await page.getByRole('button', { name: '1 new', exact: true }).waitFor()
    expect(await shownIds(page)).toEqual([south.id, north.id])
    await press(page, '1 new')
    expect(await shownIds(page)).toEqual([third.id, south.id, north.id])
    expect(await page.getByRole('button', { name: /new$/ }).count()).toBe(0)
  })

  it('is walked along by keys, and come back to', async () => {
    const page = await person.open('/batches?q=found')
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
    await page.waitForURL(`${person.api.url}/batches/${failing.id}`)
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
    const page = await person.open('/batches')
    await rowOf(page, 'many-120').waitFor()
    expect((await shownIds(page)).length).toBe(50)
    await page.getByRole('button', { name: 'More' }).scrollIntoViewIfNeeded()
    await rowOf(page, 'many-65').waitFor()
    await eventually(async () => (await shownIds(page)).length >= 100, { what: 'the second page' })
    expect((await shownIds(page)).slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => `many-${120 - i}`))
    const place = (): Promise<unknown> =>
      page.evaluate(`document.querySelectorAll('a.row-link')[60].getBoundingClientRect().y`)
    const before = await place()
    await person.sendToEnd(testBatch(3, { id: 'while-reading' }))
    await page.getByRole('button', { name: '1 new', exact: true }).waitFor()
    expect(await place()).toBe(before)
    await press(page, '1 new')
    expect((await shownIds(page)).slice(0, 2)).toEqual(['while-reading', 'many-120'])
    expect(await page.evaluate('scrollY')).toBe(0)
  })
})

describe('a service that is away', () => {
  // The last: an answer that it had not begun with when it was killed.
  const expected = [
    /ERR_CONNECTION_REFUSED/,
    /ERR_INCOMPLETE_CHUNKED_ENCODING/,
    /ERR_CONNECTION_RESET/,
    /ERR_EMPTY_RESPONSE/,
  ]
  /** Kills it, waits until the pages say so, and starts it again. */
  async function restart(pages: readonly Page[], meanwhile: () => Promise<unknown>): Promise<void> {
    const notes = pages.map((page) => page.getByText('The service is not heard'))
    person.api.signal('SIGKILL')
    await person.api.exited
    for (const note of notes) await note.waitFor()
    await meanwhile()
    person.api = await startApiProcess(person.line, { PORT: new URL(person.api.url).port })
    for (const note of notes) await note.waitFor({ state: 'detached' })
  }

  it('is told, and what has happened meanwhile is there when it is back', async () => {
    const [going, meanwhile] = [testBatch(100, { id: 'goes-on' }), testBatch(10, { id: 'meanwhile' })]
    const sendRest = await person.send(going, {}, 2, 1)
    const overview = await person.open('/', { expected })
    const list = await person.open('/batches', { expected })
    const own = await person.open(`/batches/${going.id}`, { expected })
    await cardOf(overview, 'Loading now', going.id).waitFor()
    await rowOf(list, going.id).getByText('50\u202f%').waitFor()
    await region(own, 'Progress').waitFor()
    await restart([overview, list, own], async () => {
      await sendRest()
      await person.sendToEnd(meanwhile)
      await person.line.reply(going.id)
    })
    await cardOf(overview, 'Published lately', going.id).waitFor()
    await cardOf(overview, 'Published lately', meanwhile.id).waitFor()
    await rowOf(list, going.id).getByText('succeeded').waitFor()
    await rowOf(list, meanwhile.id).waitFor()
    await state(own, 'succeeded')
  })

  it('has so much to tell when it is back that it tells only the newest', async () => {
    const going = testBatch(100, { id: 'forgotten' })
    const sendRest = await person.send(going, {}, 2, 1)
    const overview = await person.open('/', { expected })
    const list = await person.open('/batches', { expected })
    const searched = await person.open('/batches?q=forgotten', { expected })
    await cardOf(overview, 'Loading now', going.id).waitFor()
    for (const page of [list, searched]) await rowOf(page, going.id).getByText('50\u202f%').waitFor()
    await restart([overview, list, searched], async () => {
      await sendRest()
      await person.line.reply(going.id)
      await seedMany('more', 60)
    })
    await region(overview, 'Loading now').getByText('Nothing is being loaded.').waitFor()
    await rowOf(searched, going.id).getByText('succeeded').waitFor()
    await rowOf(list, 'more-60').waitFor()
    const newest = Array.from({ length: 50 }, (_, i) => `more-${60 - i}`)
    await eventually(async () => String(await shownIds(list)) === String(newest), { what: 'only the newest' })
  })
})

describe('every view', () => {
  const long = 'x'.repeat(128)
  const paths = [
    '/',
    '/batches',
    '/batches?q=found',
    ...['bad-one', long, 'nobody-yet', 'open-one'].map((id) => `/batches/${id}`),
  ]
  beforeAll(async () => {
    const bad = testBatch(40, { id: 'bad-one' })
    await person.sendToEnd({ ...bad, lines: bad.lines.map((text, i) => (i % 2 ? text : `${text},${'z'.repeat(300)}`)) })
    await person.sendToEnd(testBatch(2, { id: long }), { source: 'y'.repeat(200) })
    const flag = { deadline: '2030-01-01T00:00:00Z', onDeadline: 'flag' } as const
    await person.send(testBatch(50, { id: 'open-one' }), flag, 2, 1)
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'has no accessibility faults in %s, and is no wider than %d pixels',
    async (scheme, width) => {
      const page = await person.open('/', { scheme, size: { width, height: 740 }, touch: width < 500 })
      const check = async (): Promise<void> => {
        expect(await accessibilityFaults(page)).toEqual([])
        expect(await page.evaluate('[location.href, document.documentElement.scrollWidth]')).toEqual([
          page.url(),
          width,
        ])
      }
      for (const path of paths) {
        await page.goto(path)
        await page.locator('.card, tbody tr, .facts-columns, .waiting').first().waitFor()
        if (path.endsWith('bad-one')) await page.locator('table.errors').waitFor()
        await check()
      }
      await press(page, 'Cancel')
      await page.getByRole('dialog').waitFor()
      await check()
    },
    120_000,
  )

  it.each(paths.slice(0, 3))('lets the keyboard skip the bar at the top of %s', async (path) => {
    const page = await person.open(path)
    await page.keyboard.press('Tab')
    await page.getByRole('link', { name: 'To the content' }).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('Enter')
    await page.locator('main:focus').waitFor()
    expect(page.url()).toBe(`${person.api.url}${path}`)
    await page.keyboard.press('Tab')
    await page.locator('main :focus').waitFor()
  })
})
