import { expect, it } from '@jest/globals'
import { batchPath, locate, type Route } from './routes.ts'

it.each<[string, Partial<Route> & { view: Route['view'] }]>([
  ['', { view: 'overview' }],
  ['batches', { view: 'batches' }],
  ['batches?state=failed', { view: 'batches' }],
  ['batches/acme-1', { view: 'batch', id: 'acme-1', dryRun: false }],
  ['batches/a%3Ab?dryRun=true', { view: 'batch', id: 'a:b', dryRun: true }],
  ['batches/%E0%A4%A', { view: 'batch', id: '%E0%A4%A', dryRun: false }],
  ['batches/', { view: 'unknown' }],
  ['batches/a/errors', { view: 'unknown' }],
  ['upload', { view: 'upload' }],
  ['explore?from=A', { view: 'explore' }],
  ['docs', { view: 'unknown' }],
])('%j', (address, route) => {
  const [path = '', query] = address.split('?')
  expect(locate(path, new URLSearchParams(query))).toMatchObject(route)
})

it('the address of a batch leads back to it', () => {
  const path = batchPath({ id: 'a:b%', dryRun: true })
  const [place = '', query] = path.split('?')
  expect(locate(place, new URLSearchParams(query))).toEqual({ view: 'batch', id: 'a:b%', dryRun: true })
})
