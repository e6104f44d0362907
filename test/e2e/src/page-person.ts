import { type BatchHeaders } from '@rates/core/wire'
import { chunkRecords, type TestBatch } from '@rates/testing/batches'
import { newPage, openBrowser, type PageOptions, type WatchedPage } from '@rates/testing/browser'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'
import { type Locator, type Page } from 'playwright-core'

/** A person before a browser, and a line with an API and a worker. */
export interface Person {
  line: Line
  /** Another one after a restart. */
  api: ServiceProcess & { url: string }
  open(path: string, options?: Partial<PageOptions>): Promise<Page>
  /** Closes all pages. @throws if one of them was not clean */
  leave(): Promise<void>
  /** Sends the batch in so many chunks, or only the first of them. @returns what sends the others */
  send(batch: TestBatch, headers?: Partial<BatchHeaders>, chunks?: number, first?: number): Promise<() => Promise<void>>
  sendToEnd(batch: TestBatch, headers?: Partial<BatchHeaders>): Promise<void>
  close(): Promise<void>
}

export async function startPerson(): Promise<Person> {
  const line = await startLine()
  try {
    const [api] = await Promise.all([startApiProcess(line), startWorkerProcess(line)])
    const browser = await openBrowser()
    line.defer(() => browser.close())
    const opened: WatchedPage[] = []
    const person: Person = {
      line,
      api,
      async open(path, options = {}) {
        const watched = await newPage(browser, { url: person.api.url, ...options })
        opened.push(watched)
        watched.page.setDefaultTimeout(60_000)
        await watched.page.goto(path)
        return watched.page
      },
      async leave() {
        for (const each of opened.splice(0)) await each.close()
      },
      async send(batch, headers = {}, chunks = 1, first = chunks) {
        const all = { batchId: batch.id, ...headers }
        const records = await chunkRecords(line.topics.batches, all, batch.lines, { chunks })
        await line.send(records.slice(0, first))
        return () => line.send(records.slice(first))
      },
      async sendToEnd(batch, headers) {
        await person.send(batch, headers)
        await line.reply(batch.id)
      },
      close: () => line.close(),
    }
    return person
  } catch (error) {
    await line.close()
    throw error
  }
}

export const region = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
/** On the overview. */
export const cardOf = (page: Page, section: string, id: string): Locator =>
  region(page, section).getByRole('link').filter({ hasText: id })
/** In the list. */
export const rowOf = (page: Page, id: string): Locator => page.locator('tbody tr').filter({ hasText: id })
export const shownIds = (page: Page): Promise<string[]> => page.locator('tbody a.row-link').allInnerTexts()
/** On a batch's own page. */
export const state = (page: Page, name: string): Promise<void> =>
  page.locator('.batch-title').getByText(name, { exact: true }).waitFor()
export const press = (page: Page, button: string): Promise<void> =>
  page.getByRole('button', { name: button, exact: true }).click()
/** In the dialog that has been opened. */
export const answer = (page: Page, button: string): Promise<void> =>
  page.getByRole('dialog').getByRole('button', { name: button, exact: true }).click()
