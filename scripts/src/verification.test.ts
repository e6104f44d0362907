import { describe, expect, it } from '@jest/globals'
import { type Verification } from '@rates/service/ledger/verify'
import { describeVerification, exitCodeOfVerification } from './verification.ts'

const verdicts = { proven: 0, unproven: 0, hidden: 0, gone: 0, open: 0 }
const clean: Verification = {
  batch: null,
  verdicts: { ...verdicts, proven: 12, open: 1 },
  faulty: 0,
  packs: 340,
  rows: 2_000_000,
  seconds: 0.5,
  faultCount: 0,
  faults: [],
}
const one: NonNullable<Verification['batch']> = {
  no: 4,
  id: 'acme-1',
  dryRun: false,
  state: 'succeeded',
  chunksExpected: 1,
  rowsAccepted: 300,
  rowsRejected: 0,
  digest: 'b6bd52c0d1f733e73a7a8330381b90ad',
  purged: false,
  trimmed: false,
  hidden: false,
  verdict: 'proven',
  rowsStored: 300,
  packs: 1,
  mergedPacks: 0,
}
const only = (batch: Partial<typeof one>): Verification => {
  const found = { ...one, ...batch }
  return { ...clean, batch: found, verdicts: { ...verdicts, [found.verdict]: 1 } }
}
const fault = { kind: 'digest', batchNo: 4, batchId: 'acme-1', message: 'other digests' } as const
const faulty = (found: Verification): Verification => ({ ...found, faulty: 1, faultCount: 1, faults: [fault] })

describe('the exit code', () => {
  it.each<[string, Verification, number]>([
    ['all is proven, one is loading', clean, 0],
    ['one was trimmed', { ...clean, verdicts: { ...clean.verdicts, unproven: 1 } }, 5],
    ['something is wrong', faulty(clean), 1],
    ['something is wrong, and one was trimmed', faulty(only({ verdict: 'unproven' })), 1],
    ['the batch is proven', only({}), 0],
    ['nothing of it is stored', only({ verdict: 'gone' }), 0],
    ['it waits to be purged', only({ verdict: 'hidden' }), 0],
    ['it was trimmed', only({ verdict: 'unproven' }), 5],
    ['it has not ended', only({ verdict: 'open' }), 5],
  ])('%s', (_, found, code) => {
    expect(exitCodeOfVerification(found)).toBe(code)
  })
})

describe('in words', () => {
  it('tells of all how many, and how fast', () => {
    expect(describeVerification(clean)).toEqual([
      '2 000 000 rows in 340 packs verified in 0.5 s, 4 000 000 rows/s',
      '',
      'Batches:',
      '12  proven: what is stored has the digest of what was accepted',
      ' 1  not ended, of which readers see nothing; what is stored is as their chunks say',
    ])
  })

  it('tells of an empty database that there is nothing', () => {
    const empty = { ...clean, packs: 0, rows: 0, verdicts }
    expect(describeVerification(empty)).toEqual(['0 rows in 0 packs verified in 0.5 s'])
  })

  it.each<[Partial<typeof one>, string]>([
    [
      {},
      'proven: batch acme-1 (succeeded): 300 rows in 1 pack, with the digest of what was accepted, b6bd52c0d1f733e73a7a8330381b90ad',
    ],
    [{ packs: 0, mergedPacks: 2 }, '300 rows in 2 merged packs'],
    [{ verdict: 'unproven', rowsStored: 10 }, 'of 300 accepted rows 10 are left'],
    [{ verdict: 'gone', state: 'failed', purged: true, rowsStored: 0, packs: 0 }, '(failed, purged): nothing of it'],
    [{ verdict: 'open', state: 'open' }, 'not proven: batch acme-1 has not ended'],
  ])('tells of one: %j', (batch, words) => {
    const [line, ...more] = describeVerification(only(batch))
    expect(line).toContain(words)
    expect(more).toEqual([])
  })

  it('names each fault with its batch, and how many more there are', () => {
    const stray = { kind: 'orphan_packs', batchNo: 9, batchId: null, message: '3 rows' } as const
    const lines = describeVerification({ ...clean, faulty: 2, faultCount: 1_200, faults: [fault, stray] })
    expect(lines.slice(-4)).toEqual([
      'What is wrong, 1 200 faults:',
      '  digest: acme-1: other digests',
      '  orphan_packs: no. 9: 3 rows',
      '  … and 1 198 more',
    ])
    expect(describeVerification(faulty(only({})))).toEqual([
      'Batch acme-1 is wrong, 1 fault:',
      '  digest: acme-1: other digests',
    ])
  })
})
