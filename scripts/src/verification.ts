import { type Verification } from '@rates/service/ledger/verify'
import { EXIT } from './exit.ts'
import { count, duration } from './progress.ts'
import { plural, printable, table } from './text.ts'

/** 0 only if all that was asked for is proven. */
export function exitCodeOfVerification({ batch, verdicts, faultCount }: Verification): number {
  if (faultCount > 0) return EXIT.refused
  // A batch that has not ended is nobody's word yet: among all it is none that could be proven.
  const unproven = verdicts.unproven > 0 || batch?.verdict === 'open'
  return unproven ? EXIT.unproven : EXIT.done
}

/** The result in words, a line each. */
export function describeVerification(result: Verification): string[] {
  const { batch, faultCount } = result
  const lines = batch && faultCount === 0 ? [describeOne({ ...result, batch })] : []
  if (!batch) lines.push(...describeAll(result))
  if (faultCount === 0) return lines
  return [...lines, ...describeFaults(result)]
}

type OfOne = Verification & { batch: NonNullable<Verification['batch']> }

function describeOne({ batch }: OfOne): string {
  const { id, state, verdict, rowsStored, rowsAccepted, digest, dryRun, purged } = batch
  const name = `${dryRun ? 'dry run' : 'batch'} ${id}`
  const where = [
    ...(batch.packs > 0 ? [plural(batch.packs, 'pack')] : []),
    ...(batch.mergedPacks > 0 ? [plural(batch.mergedPacks, 'merged pack')] : []),
  ].join(' and ')
  const rows = `${plural(rowsStored, 'row')}${where && ` in ${where}`}`
  switch (verdict) {
    case 'proven':
      return `proven: ${name} (${state}): ${rows}, with the digest of what was accepted, ${digest}`
    case 'unproven':
      return (
        `not proven: ${name} (${state}): the retention of prices has removed a part of it; ` +
        `of ${plural(rowsAccepted ?? 0, 'accepted row')} ${count(rowsStored)} are left, and nothing is wrong with them`
      )
    case 'hidden':
      return `proven: ${name} (${state}): readers see nothing of it; ${rows} wait to be purged`
    case 'gone':
      return `proven: ${name} (${state}${purged ? ', purged' : ''}): nothing of it is stored`
    case 'open':
      return `not proven: ${name} has not ended; ${rows} are stored of it so far, as its chunks say, and readers see none`
  }
}

function describeAll({ verdicts, packs, rows, seconds, faulty }: Verification): string[] {
  const speed = rows > 0 ? `, ${count(rows / seconds)} rows/s` : ''
  const cells: [number, string][] = [
    [verdicts.proven, 'proven: what is stored has the digest of what was accepted'],
    [
      verdicts.unproven,
      'not proven: the retention of prices has removed a part of them; nothing is wrong with the rest',
    ],
    [verdicts.gone, 'of which nothing is stored, as it has to be: purged, failed, cancelled, dry runs'],
    [verdicts.hidden, 'failed or cancelled, of which readers see nothing; not purged yet'],
    [verdicts.open, 'not ended, of which readers see nothing; what is stored is as their chunks say'],
    [faulty, 'wrong'],
  ]
  const told = cells.filter(([n]) => n > 0).map(([n, what]) => [count(n), what])
  return [
    `${plural(rows, 'row')} in ${plural(packs, 'pack')} verified in ${duration(seconds)}${speed}`,
    ...(told.length > 0 ? ['', 'Batches:', ...table([{ title: '', right: true }, { title: '' }], told)] : []),
  ]
}

function describeFaults({ batch, faults, faultCount }: Verification): string[] {
  const shown = faults.map(({ kind, batchId, batchNo, message }) => {
    const name = batchId === null ? `no. ${batchNo}` : printable(batchId, 140)
    return `  ${kind}: ${name}: ${printable(message, 400)}`
  })
  const what = batch ? `Batch ${batch.id} is wrong` : 'What is wrong'
  const more = faultCount > faults.length ? [`  … and ${count(faultCount - faults.length)} more`] : []
  return [...(batch ? [] : ['']), `${what}, ${plural(faultCount, 'fault')}:`, ...shown, ...more]
}
