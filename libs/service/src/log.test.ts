import { expect, it } from '@jest/globals'
import { createLogger } from './log.ts'

it('no secret gets into the log: not by its name, and not within a URL', () => {
  const lines: string[] = []
  const log = createLogger('test', 'info', { write: (line) => void lines.push(line) })
  const url = 'postgres://rates:s3cret@db.example:5432/rates'
  log.info({ password: 's3cret', sasl: { username: 'rates', password: 's3cret' } }, 'settings')
  log.info({ request: { headers: { authorization: 'Bearer s3cret' } } }, `connecting to ${url}`)
  log.child({ settings: { databaseUrl: 's3cret', secret: 's3cret' } }).warn({ address: url }, 'away')
  log.error({ err: new Error(`no answer from ${url}`, { cause: new Error(`${url} is away`) }) }, 'failed')
  log.info({ mail: 'somebody@example.com', topic: 'a:b' }, 'mailto:somebody@example.com, http://example.com:80/@x')
  expect(lines).toHaveLength(5)
  for (const line of lines) expect(line).not.toContain('s3cret')
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(told[0]).toMatchObject({ msg: 'settings', sasl: { username: 'rates' } })
  expect(told[1]).toMatchObject({ msg: 'connecting to postgres://rates@db.example:5432/rates' })
  expect(told[3]).toMatchObject({ err: { message: expect.stringContaining('postgres://rates@db.example') } })
  expect(told[4]).toMatchObject({
    mail: 'somebody@example.com',
    topic: 'a:b',
    msg: 'mailto:somebody@example.com, http://example.com:80/@x',
  })
})
