import { Command } from 'commander'
import { examine } from '../doctor/examine.ts'
import { countOf, describeFindings } from '../doctor/finding.ts'
import { EXIT, exitWith, usageExits } from '../exit.ts'
import { readLiveState } from '../running.ts'
import { plural } from '../text.ts'

interface Options {
  services: string[]
  json?: boolean
}

const HELP = `
A FAULT stops or loses something, now or one day; a warning is for you to know. Below each is what to do. It changes
nothing. Of a platform elsewhere it looks at what DATABASE_URL, KAFKA_BROKERS, KAFKA_PREFIX and RATES_URL name;
LEDGER_RETENTION_DAYS is compared with the topics' retention if it is set.

Exit codes: 0 no fault; 1 a fault; 2 wrong usage; 130 interrupted.`

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('check settings, PostgreSQL, Kafka and the services, and say what to do')
    .option('--services <urls>', "the services' management addresses, separated by commas", readUrls, [])
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', HELP)
    .action((options: Options) => exitWith(() => doctor(options)))
  return usageExits(command)
}

async function doctor({ services, json }: Options): Promise<number> {
  process.once('SIGINT', () => process.exit(EXIT.interrupted)) // there is nothing to undo
  const findings = await examine({ state: await readLiveState(), env: process.env, services })
  const faults = countOf(findings, 'fault')
  const warnings = countOf(findings, 'warning')
  if (json) console.log(JSON.stringify({ faults, warnings, findings }))
  else {
    console.log(describeFindings(findings).join('\n'))
    console.log(`\n${plural(faults, 'fault')}, ${plural(warnings, 'warning')}`)
  }
  // A client of a server that does not answer would keep the process for a while.
  process.exitCode = faults > 0 ? EXIT.refused : EXIT.done
  setTimeout(() => process.exit(), 1_000).unref()
  return process.exitCode
}

const readUrls = (text: string): string[] => text.split(',').filter((url) => url !== '')
