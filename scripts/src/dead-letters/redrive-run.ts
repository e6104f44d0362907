import { type KafkaSettings } from '@rates/service/kafka'
import { confirm } from '../confirm.ts'
import { CommandFailure, EXIT } from '../exit.ts'
import { explainPostgres } from '../explain-postgres.ts'
import { plural, printable } from '../text.ts'
import { type Filter, type LetterBox } from './box.ts'
import { type Letter, type Redrive } from './letter.ts'
import { Redriver } from './redrive.ts'

export interface How {
  kafka: KafkaSettings
  databaseUrl: string
  prefix: string
  dryRun: boolean
  yes: boolean
  json: boolean
  signal: AbortSignal
}

/** Refusals that are told one by one; there may be thousands. */
const TOLD = 20

/** Named ones: all are tried; the exit code says whether all were sent. */
export function redriveThese(box: LetterBox, ids: readonly string[], how: How): Promise<number> {
  return withRedriver(how, async (redriver) => {
    const outcomes: object[] = []
    let refused = 0
    // Ids of a partition in the order of their offsets, as the reader goes.
    const place = (id: string): number => Number(id.split('-')[1])
    for (const id of [...new Set(ids)].sort((a, b) => place(a) - place(b))) {
      how.signal.throwIfAborted()
      const found = await box.find(id)
      const redrive: Redrive = found
        ? await redriver.plan(found.letter, found.record)
        : { kind: 'refused', why: 'there is no such dead letter, or not any more' }
      if (redrive.kind === 'send' && !how.dryRun) await redriver.send(redrive)
      if (redrive.kind === 'refused') refused++
      outcomes.push(outcomeJson(id, redrive, how.dryRun))
      if (!how.json) tell(id, redrive, how.dryRun)
    }
    if (how.json) console.log(JSON.stringify(outcomes))
    return refused > 0 ? EXIT.refused : EXIT.done
  })
}

/** All of a filter: counted first, then sent, each asked about once more. What is refused stays where it is. */
export function redriveAll(box: LetterBox, filter: Filter, how: How): Promise<number> {
  return withRedriver(how, async (redriver) => {
    let sendable = 0
    const refusals: { id: string; why: string }[] = []
    let refused = 0
    await box.each(filter, async (letter, record) => {
      const redrive = await redriver.plan(letter, record)
      if (redrive.kind === 'send') return void sendable++
      if (++refused <= TOLD) refusals.push({ id: letter.id, why: redrive.why })
    })
    const finish = (sent: number): number => {
      if (how.json) console.log(JSON.stringify({ sent, sendable, refused, refusals, dryRun: how.dryRun }))
      return EXIT.done
    }
    if (!how.json) {
      for (const { id, why } of refusals) console.log(`${id}  refused: ${printable(why, 300)}`)
      if (refused > TOLD) console.log(`… and ${refused - TOLD} more are refused`)
      console.log(`${plural(sendable, 'dead letter')} can be sent again, ${refused} cannot.`)
    }
    if (sendable === 0 || how.dryRun) return finish(0)
    if (!(await confirm('Send them?', how.yes))) throw new CommandFailure(EXIT.refused, 'Nothing was sent.')
    let sent = 0
    try {
      await box.each(filter, async (letter: Letter, record) => {
        const redrive = await redriver.plan(letter, record)
        if (redrive.kind !== 'send') return
        await redriver.send(redrive)
        sent++
      })
    } catch (error) {
      if (sent > 0)
        console.error(`${plural(sent, 'dead letter')} had been sent before this. To do it again is harmless.`)
      throw error
    }
    if (!how.json) console.log(`${plural(sent, 'dead letter')} sent again; "rates list" shows what becomes of them.`)
    return finish(sent)
  })
}

async function withRedriver(how: How, work: (redriver: Redriver) => Promise<number>): Promise<number> {
  const redriver = new Redriver(how.kafka, how.databaseUrl, how.prefix)
  try {
    return await work(redriver)
  } catch (error) {
    throw explainPostgres(error) ?? error
  } finally {
    await redriver.close()
  }
}

function tell(id: string, redrive: Redrive, dryRun: boolean): void {
  if (redrive.kind === 'refused') console.log(`${id}  refused: ${printable(redrive.why, 500)}`)
  else {
    const done = dryRun ? 'would be sent' : 'sent'
    const batch = redrive.batchId === undefined ? '' : `; its batch: rates show ${printable(redrive.batchId, 128)}`
    console.log(`${id}  ${done} to ${redrive.record.topic}${batch}`)
  }
}

const outcomeJson = (id: string, redrive: Redrive, dryRun: boolean): object =>
  redrive.kind === 'refused'
    ? { id, sent: false, refused: redrive.why }
    : { id, sent: !dryRun, topic: redrive.record.topic, batchId: redrive.batchId ?? null, refused: null }
