import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { Missing } from '@rates/local/java'
import { chromium, type Browser, type Page } from 'playwright-core'

/** As Linux distributions, Google and Homebrew name it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** A real chromium without a window. @throws Missing where there is none */
export function openBrowser(): Promise<Browser> {
  // A user namespace is not there for root, nor needed for pages of our own.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: findChromium(), args })
}

function findChromium(): string {
  const given = process.env['CHROMIUM_BIN']
  if (given !== undefined) {
    if (existsSync(given)) return given
    throw new Missing(`CHROMIUM_BIN: there is no ${given}.`)
  }
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of NAMES) if (existsSync(join(folder, name))) return join(folder, name)
  }
  throw new Missing(
    `This test needs a browser: none of ${NAMES.join(', ')} is in the PATH, and CHROMIUM_BIN names none.`,
  )
}

export interface PageOptions {
  /** Where the service is; relative addresses begin there, and the page may ask nobody else. */
  url: string
  scheme?: 'light' | 'dark'
  /** 1280 x 800 without. */
  size?: { width: number; height: number }
  /** A touch screen. */
  touch?: boolean
  timezone?: string
  /** Faults that the test brings about, such as chromium's line about an answer with 409. */
  expected?: readonly RegExp[]
}

export interface WatchedPage {
  page: Page
  /** What a person's browser would have complained of until now. */
  faults: string[]
  /** @throws if there were any */
  close(): Promise<void>
}

/**
 * A page of a profile of its own. It is watched: errors on its console (among them violations of the content security
 * policy), uncaught errors and requests to any other host are faults, which `close` throws.
 */
export async function newPage(browser: Browser, options: PageOptions): Promise<WatchedPage> {
  const { url, scheme = 'light', size = { width: 1280, height: 800 }, touch = false, expected = [] } = options
  const context = await browser.newContext({
    baseURL: url,
    colorScheme: scheme,
    viewport: size,
    hasTouch: touch,
    locale: 'en-GB',
    reducedMotion: 'reduce',
    ...(options.timezone !== undefined && { timezoneId: options.timezone }),
  })
  const faults: string[] = []
  const fault = (text: string): void => {
    if (!expected.some((pattern) => pattern.test(text))) faults.push(text)
  }
  const { host } = new URL(url)
  context.on('request', (request) => {
    const to = new URL(request.url())
    if (!['data:', 'blob:'].includes(to.protocol) && to.host !== host) fault(`a request to another host: ${to.href}`)
  })
  context.on('console', (message) => {
    if (message.type() === 'error') fault(`console: ${message.text()} (${message.location().url})`)
  })
  context.on('weberror', (error) => fault(`uncaught: ${error.error().stack ?? String(error.error())}`))
  // A violation by a style or an image is not told as an error on the console by every release.
  await context.exposeBinding('reportViolation', (_, text: string) => fault(`content security policy: ${text}`))
  await context.addInitScript(
    `addEventListener('securitypolicyviolation', (e) => reportViolation(e.violatedDirective + ' ' + e.blockedURI))`,
  )
  const page = await context.newPage()
  const close = async (): Promise<void> => {
    await context.close()
    if (faults.length > 0) throw new Error(`the page is not clean:\n${faults.join('\n')}`)
  }
  return { page, faults, close }
}

interface AxeResults {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[]
}
let axe: Promise<string> | undefined

/** What axe-core finds against the page as it is, or against a part of it: best practices and all levels but AAA. */
export async function accessibilityFaults(page: Page, selector = 'html'): Promise<string[]> {
  axe ??= readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  await page.evaluate(await axe)
  const { violations } = await page.evaluate<AxeResults>(`axe.run(${JSON.stringify(selector)})`)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html}\n  ${failureSummary ?? ''}`),
  )
}
