import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { testBatch } from '@rates/testing/batches'
import { factsOf } from '@rates/testing/facts'
import { answer, cardOf, press, region, rowOf, shownIds, startPerson, state, type Person } from './page-person.ts'

// The pages of batches, and what is done there, as a person uses them.

let person: Person
beforeAll(async () => {
  person = await startPerson()
}, 120_000)
afterEach(() => person.leave())
afterAll(() => person?.close())

describe('a bad batch', () => {
  const batch = testBatch(3000, { id: 'bad-one' })
  for (let i = 0; i < 1200; i++) batch.lines[2 * i] = 'CNSGH,NLRTX,2026-11-02,1840'
  batch.lines[1] = 'CNSGH,NLRTM,2026-11-31,1795'
  batch.lines[3] = 'HKHKG,DEHAM,2026-11-17,-3'

  it('shows why, and its rows, to filter and to download', async () => {
    const [overview, page] = await Promise.all([person.open('/'), person.open(`/batches/${batch.id}`)])
    await person.send(batch, { source: 'harbour' })
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
    await person.sendToEnd(one)
    const page = await person.open(`/batches/${one.id}`, { expected: [/409 .*retry/] })
    await region(page, 'Error').getByText('unknown_port').waitFor()
    const added = await fetch(`${person.api.url}/ports/ZZNEW`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'New', region: 'world' }),
    })
    expect(added.ok).toBe(true)
    await press(page, 'Run again')
    await answer(page, 'Run it again')
    await page.waitForURL(`${person.api.url}/batches/${one.id}.retry-1`)
    await state(page, 'succeeded')
    await region(page, 'Belongs to').getByRole('link', { name: one.id, exact: true }).click()
    await region(page, 'Belongs to')
      .getByRole('link', { name: `${one.id}.retry-1` })
      .waitFor()
    // Once more: the records are visible already, which the service refuses in its own words.
    await press(page, 'Run again')
    await answer(page, 'Run it again')
    const refusal = await page.getByRole('dialog').getByRole('alert').innerText()
    expect(refusal).toContain(`${one.id}.retry-1`)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  })
})

describe('a batch that succeeded', () => {
  it('is reverted by the keyboard alone', async () => {
    const batch = testBatch(30)
    await person.sendToEnd(batch)
    const page = await person.open(`/batches/${batch.id}`)
    const button = page.getByRole('button', { name: 'Revert', exact: true })
    await button.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('Its 30 prices disappear').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Revert')
    expect(await factsOf(person.line, batch)).toMatchObject({ state: 'succeeded', visible: 'all' })
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Enter')
    await state(page, 'reverted')
    // The stream may tell it before the request is answered, with which the dialog closes.
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.waitForFunction('document.activeElement.id === "main"')
    expect(await factsOf(person.line, batch)).toMatchObject({ state: 'reverted', visible: 'nothing' })
    await region(page, 'Times, UTC').getByText('reverted').waitFor()
  })

  it('stays if the service refuses, which is told in its words', async () => {
    const batch = testBatch(30)
    await person.sendToEnd(batch)
    await person.line.pool.query(`update batches set finished_at = finished_at - interval '9 days' where id = $1`, [
      batch.id,
    ])
    const page = await person.open(`/batches/${batch.id}`, { expected: [/409 .*revert/] })
    await press(page, 'Revert')
    await answer(page, 'Revert it')
    await page.getByRole('alert').filter({ hasText: 'only within 7 days could it be reverted' }).waitFor()
    await answer(page, 'Back')
    await state(page, 'succeeded')
  })

  it('is another one than the dry run of its id', async () => {
    const batch = testBatch(20, { id: 'rehearsed' })
    await person.sendToEnd(batch, { dryRun: true })
    await person.send(batch)
    const page = await person.open('/batches?q=rehearsed')
    await rowOf(page, batch.id).nth(1).waitFor()
    expect(await rowOf(page, batch.id).filter({ hasText: 'dry run' }).count()).toBe(1)
    await rowOf(page, batch.id).filter({ hasText: 'dry run' }).getByRole('link').click()
    await page.waitForURL(`${person.api.url}/batches/rehearsed?dryRun=true`)
    await page.getByRole('heading', { name: 'Dry run rehearsed' }).waitFor()
    await state(page, 'succeeded')
    expect(await page.getByRole('button', { name: 'Revert' }).count()).toBe(0)
    await region(page, 'Belongs to').getByRole('link', { name: 'rehearsed' }).click()
    await page.getByRole('heading', { name: 'Batch rehearsed' }).waitFor()
    await page.getByRole('button', { name: 'Revert' }).waitFor()
    await page.goto('/batches?q=rehearsed')
    await page.getByLabel('Dry runs').selectOption('without dry runs')
    await rowOf(page, batch.id).nth(1).waitFor({ state: 'detached' })
    expect(page.url()).toBe(`${person.api.url}/batches?q=rehearsed&dryRun=false`)
    expect(await shownIds(page)).toEqual(['rehearsed'])
  })
})

describe('a batch that is loading', () => {
  it('can be cancelled', async () => {
    const going = testBatch(100)
    await person.send(going, {}, 2, 1)
    const page = await person.open(`/batches/${going.id}`)
    await press(page, 'Cancel')
    await answer(page, 'Back')
    expect(await page.getByRole('dialog').count()).toBe(0)
    await press(page, 'Cancel')
    await answer(page, 'Cancel the batch')
    await state(page, 'cancelled')
    await person.line.reply(going.id)
    expect(await factsOf(person.line, going)).toMatchObject({ state: 'cancelled', visible: 'nothing' })
  })
})
