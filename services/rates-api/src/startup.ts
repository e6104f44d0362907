import { setTimeout as sleep } from 'node:timers/promises'
import { pendingMigrations } from '@rates/db/migrate'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { type Logger } from '@rates/service/log'
import { type Settings } from './config.ts'

/** What is awaited; not a fault. */
class Missing extends Error {}

/**
 * What must have happened before the service counts as started: the database has this version's schema, and the dump
 * that the settings name is imported. Tried until it is so; then it is never asked again, for migrations only go forward.
 */
export class Startup {
  readonly #settings: Settings
  readonly #log: Logger
  readonly #stopping = new AbortController()
  #waitingFor: string | undefined = 'the database to be looked at'

  constructor(settings: Settings, log: Logger) {
    this.#settings = settings
    this.#log = log
  }

  /** For the probes. @throws while something is missing */
  check(): void {
    if (this.#waitingFor !== undefined) throw new Error(`waiting for ${this.#waitingFor}`)
  }

  async run(): Promise<void> {
    const { DATABASE_URL, IMPORT_FILE } = this.#settings
    await this.#until(async () => {
      const pending = await pendingMigrations(DATABASE_URL)
      if (pending.length > 0) throw new Missing(`migrations: ${pending.join(', ')}`)
    })
    if (IMPORT_FILE !== undefined) await this.#until(() => this.#import(IMPORT_FILE))
    if (this.#stopping.signal.aborted) return
    this.#waitingFor = undefined
    this.#log.info('started')
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** Harmless to repeat: the same dump is the same batch. */
  async #import(file: string): Promise<void> {
    this.#wait(`the import of ${file}`)
    const { importDump } = await import('@rates/db/import-dump') // memory that others do without
    const { DATABASE_URL: databaseUrl, KAFKA_BROKERS: brokers, KAFKA_PREFIX: prefix } = this.#settings
    const { signal } = this.#stopping
    const outcome = await importDump({
      file,
      databaseUrl,
      kafka: { brokers, prefix, security: kafkaSecurity(this.#settings) },
      log: this.#log,
      signal,
      once: true,
    })
    this.#log.info({ ...outcome }, 'imported')
  }

  /** Tries until it succeeds or the process stops. */
  async #until(step: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await step()
        return
      } catch (error) {
        if (signal.aborted) return
        this.#wait(error instanceof Missing ? error.message : `what failed: ${(error as Error).message}`)
      }
      await sleep(1000, undefined, { signal }).catch(() => undefined)
    }
  }

  #wait(what: string): void {
    if (what !== this.#waitingFor) this.#log.warn(`waiting for ${what}`)
    this.#waitingFor = what
  }
}
