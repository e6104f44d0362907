import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { fastify } from 'fastify'
import { ProblemFilter } from './problem.filter.ts'

const SECRET = 'uT0kcrfwM7oE-3bYVqQGm1zKxH5Wn8Ld'

/** The URL in the log of a request that failed. */
async function logged(method: 'GET' | 'HEAD', url: string): Promise<unknown> {
  const lines: string[] = []
  const filter = new ProblemFilter(createLogger('test', 'info', { write: (line) => void lines.push(line) }))
  const server = fastify()
  server.setErrorHandler((error, request, reply) => filter.answer(error, request, reply))
  for (const path of ['/claims/:id', '/batches/:id']) server.get(path, () => Promise.reject(new Error('a fault')))
  expect((await server.inject({ method, url })).statusCode).toBe(500)
  await server.close()
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toContain(SECRET)
  return (JSON.parse(lines[0]!) as { url: unknown }).url
}

describe('the log of requests', () => {
  it.each(['GET', 'HEAD'] as const)('has no id of a claim, however %s has it', async (method) => {
    for (const path of ['claims', '%63laims', 'cl%61ims', '%63%6C%61%69%6D%73']) {
      expect(await logged(method, `/${path}/${SECRET}`)).toBe('/claims/:id')
      expect(await logged(method, `/${path}/${SECRET}?again=/claims/${SECRET}`)).toBe('/claims/:id')
    }
  })

  it('has the beginning of others', async () => {
    expect(await logged('GET', '/batches/b1?dryRun=true')).toBe('/batches/b1?dryRun=true')
    expect(await logged('GET', `/batches/${'b'.repeat(99)}?${'x'.repeat(200)}`)).toHaveLength(200)
  })
})
