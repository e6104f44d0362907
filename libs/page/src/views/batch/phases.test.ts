import { expect, it } from '@jest/globals'
import { phasesOf } from './phases.ts'

it('phases are those that are known, with their share', () => {
  expect(phasesOf({ queueSeconds: 1, loadSeconds: 2.5, publishSeconds: 0.5 })).toEqual([
    { name: 'queue', seconds: 1, part: 0.25 },
    { name: 'load', seconds: 2.5, part: 0.625 },
    { name: 'publish', seconds: 0.5, part: 0.125 },
  ])
  expect(phasesOf({ queueSeconds: 1, loadSeconds: null, publishSeconds: null })).toEqual([
    { name: 'queue', seconds: 1, part: 1 },
  ])
  expect(phasesOf({ queueSeconds: null, loadSeconds: null, publishSeconds: null })).toEqual([])
  expect(phasesOf({ queueSeconds: 0, loadSeconds: 0, publishSeconds: null }).map(({ part }) => part)).toEqual([0, 0])
})
