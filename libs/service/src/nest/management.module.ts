import 'reflect-metadata'
import { type AddressInfo } from 'node:net'
import { Controller, Get, Header, Inject, Module, type DynamicModule } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import {
  HealthCheckService,
  TerminusModule,
  type HealthCheckResult,
  type HealthIndicatorResult,
} from '@nestjs/terminus'
import { type Logger } from 'pino'
import { type Registry } from 'prom-client'
import { nestLogger } from './nest-logger.ts'

/** Passes by returning (or resolving), fails by throwing: the message is shown. */
export type Check = () => unknown
export type Checks = Readonly<Record<string, Check>>

export interface ManagementOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly registry: Registry
  /** Is it worth to go on with this process? Never ask for other servers here: their outage would restart us. */
  readonly live: Checks
  readonly ready: Checks
  /** Asked until they have passed once. */
  readonly started: Checks
  readonly log: Logger
}

export interface Management {
  readonly port: number
  /** From now on /readyz says no: the first step of stopping. */
  drain(): void
  close(): Promise<void>
}

/** Longer than this, a check has failed; probes ask every few seconds. */
const CHECK_TIMEOUT_MS = 2000

class Probes {
  draining = false
  #started = false
  readonly #failing = new Map<string, string>()
  readonly options: ManagementOptions

  constructor(options: ManagementOptions) {
    this.options = options
  }

  live(health: HealthCheckService): Promise<HealthCheckResult> {
    return this.#run(health, this.options.live)
  }

  ready(health: HealthCheckService): Promise<HealthCheckResult> {
    if (!this.draining) return this.#run(health, this.options.ready)
    return health.check([() => ({ draining: { status: 'down', message: 'the process is stopping' } })])
  }

  async started(health: HealthCheckService): Promise<HealthCheckResult> {
    const result = await this.#run(health, this.#started ? {} : this.options.started)
    this.#started = true
    return result
  }

  #run(health: HealthCheckService, checks: Checks): Promise<HealthCheckResult> {
    return health.check(
      Object.entries(checks).map(
        ([name, check]) =>
          () =>
            this.#indicate(name, check),
      ),
    )
  }

  async #indicate(name: string, check: Check): Promise<HealthIndicatorResult> {
    let timer: NodeJS.Timeout | undefined
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS)
      })
      await Promise.race([(async () => check())(), late])
      if (this.#failing.delete(name)) this.options.log.info({ check: name }, 'health check passes again')
      return { [name]: { status: 'up' } }
    } catch (error) {
      const message = error instanceof Error && error.message !== '' ? error.message : String(error)
      // Probes come every few seconds: only what changes is worth a line.
      if (this.#failing.get(name) !== message)
        this.options.log.warn({ check: name, reason: message }, 'health check fails')
      this.#failing.set(name, message)
      return { [name]: { status: 'down', message } }
    } finally {
      clearTimeout(timer)
    }
  }
}

@Controller()
class ManagementController {
  readonly #probes: Probes
  readonly #health: HealthCheckService

  constructor(@Inject(Probes) probes: Probes, health: HealthCheckService) {
    this.#probes = probes
    this.#health = health
  }

  @Get('livez')
  @Header('cache-control', 'no-store')
  livez(): Promise<HealthCheckResult> {
    return this.#probes.live(this.#health)
  }

  @Get('readyz')
  @Header('cache-control', 'no-store')
  readyz(): Promise<HealthCheckResult> {
    return this.#probes.ready(this.#health)
  }

  @Get('startupz')
  @Header('cache-control', 'no-store')
  startupz(): Promise<HealthCheckResult> {
    return this.#probes.started(this.#health)
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics(): Promise<string> {
    return this.#probes.options.registry.metrics()
  }
}

@Module({})
class ManagementModule {
  static with(probes: Probes): DynamicModule {
    return {
      module: ManagementModule,
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [ManagementController],
      providers: [{ provide: Probes, useValue: probes }],
    }
  }
}

/** Serves probes and metrics on a port of their own, which no user reaches. */
export async function startManagement(options: ManagementOptions): Promise<Management> {
  const probes = new Probes(options)
  // Probes keep their connections open: closing must not wait for them.
  const adapter = new FastifyAdapter({ forceCloseConnections: true })
  const app = await NestFactory.create<NestFastifyApplication>(ManagementModule.with(probes), adapter, {
    logger: nestLogger(options.log),
    bodyParser: false,
    abortOnError: false,
  })
  await app.listen({ host: options.host, port: options.port })
  const { port } = app.getHttpServer().address() as AddressInfo
  return {
    port,
    drain: () => {
      probes.draining = true
    },
    close: () => app.close(),
  }
}
