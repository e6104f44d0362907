// The pictures of the page in docs/plots: node --conditions=source test/e2e/src/page-screenshots.ts
// With --stay it makes none, but leaves the system there to be looked at until it is stopped.
import { fileURLToPath } from 'node:url'
import { openBrowser, newPage } from '@rates/testing/browser'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { startOwnServers } from './own-servers.ts'
import { endedBatches, loadingBatches } from './page-demo.ts'

const stay = process.argv.includes('--stay')
const servers = await startOwnServers()
const { line } = servers
try {
  await startWorkerProcess(line, { WORKER_NAME: 'ingest-1' })
  await startWorkerProcess(line, { WORKER_NAME: 'ingest-2' })
  const port = process.env['PORT'] ?? '0'
  const { url } = await startApiProcess(line, { PORT: port, BATCH_LOG_TEMPLATE: 'https://logs.example/{batch}' })
  await endedBatches(line)
  await loadingBatches(line)
  if (stay) {
    process.stdout.write(
      `${JSON.stringify({ url, database: line.databaseUrl, brokers: line.brokers, prefix: line.prefix })}\n`,
    )
    await new Promise((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve))
  } else await takePictures(url)
} finally {
  await servers.stop()
}

async function takePictures(url: string): Promise<void> {
  const browser = await openBrowser()
  try {
    for (const [name, path, ready] of [
      ['page-overview', './', '.card.in_progress'],
      ['page-batch', 'batches/acme-freight-2026-11-20', '.phase-bar'],
      ['page-errors', 'batches/harbour-data-w47', 'table.errors'],
    ] as const) {
      const { page, close } = await newPage(browser, { url, size: { width: 1120, height: 760 }, timezone: 'UTC' })
      await page.goto(path)
      await page.locator(ready).first().waitFor()
      await page.screenshot({ path: fileURLToPath(new URL(`../../../docs/plots/${name}.png`, import.meta.url)) })
      await close()
    }
  } finally {
    await browser.close()
  }
}
