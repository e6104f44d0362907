import { describe, expect, it } from '@jest/globals'
import { readObjectMetadata } from './object-metadata.ts'

describe('the metadata of an object that a notification told of', () => {
  it('are the headers of its batch', () => {
    const { headers, fault } = readObjectMetadata({
      'rates-source': 'acme',
      'rates-batch-id': 'acme-1',
      'rates-reply-to': 'team.replies',
      'rates-deadline': '2026-11-21T08:00:00Z',
      'rates-dry-run': 'true',
      'rates-chunk': '0',
      'rates-content-type': 'text/csv',
      source: 'somebody-else',
      owner: 'me',
    })
    expect(fault).toBeUndefined()
    expect(JSON.parse(JSON.stringify(headers))).toEqual({
      source: 'acme',
      batchId: 'acme-1',
      replyTo: 'team.replies',
      deadline: '2026-11-21T08:00:00Z',
      dryRun: true,
    })
  })

  it('are none of them where none is given', () => {
    expect(readObjectMetadata({})).toMatchObject({ headers: { batchId: undefined, dryRun: false }, fault: undefined })
  })

  it('that break their rule are told, with where the answer goes', () => {
    const given = { 'rates-deadline': 'soon', 'rates-batch-id': 'acme-1', 'rates-reply-to': 'team.replies' }
    const { headers, fault } = readObjectMetadata(given)
    expect(headers).toEqual({ batchId: 'acme-1', replyTo: 'team.replies' })
    expect(fault).toBe('its metadata rates-deadline: "soon" is not a time of RFC 3339 in UTC, as 2026-11-21T08:00:00Z')
  })
})
