import 'reflect-metadata'
import { type Server as HttpServer } from 'node:http'
import { Server, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Module, type DynamicModule } from '@nestjs/common'
import { APP_FILTER, NestFactory } from '@nestjs/core'
import { type NestFastifyApplication } from '@nestjs/platform-fastify'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type Logger } from '@rates/service/log'
import { topicNames } from '@rates/service/topics'
import { nestLogger } from '@rates/service/nest/nest-logger'
import { type FastifyInstance } from 'fastify'
import { type Pool } from 'pg'
import { type Registry } from 'prom-client'
import { Answers } from './answers.ts'
import { BatchActions } from './batch-actions.ts'
import { BatchActionsController } from './batch-actions.controller.ts'
import { BatchErrors } from './batch-errors.ts'
import { BatchFeed } from './batch-feed.ts'
import { BatchFollow } from './batch-follow.ts'
import { BatchesController } from './batches.controller.ts'
import { Bottleneck } from './bottleneck.ts'
import { BottleneckController } from './bottleneck.controller.ts'
import { Catalog } from './catalog.ts'
import { CATALOGUE_SETTINGS, CatalogueController, type CatalogueSettings } from './catalogue.controller.ts'
import { CHUNK_SETTINGS, ChunkUploadsController, type ChunkSettings } from './chunk-uploads.controller.ts'
import { ChunkUploads } from './chunk-uploads.ts'
import { ClaimReaders } from './claim-readers.ts'
import { ClaimStore } from './claim-store.ts'
import { ClaimSweep } from './claim-sweep.ts'
import { ClaimsController } from './claims.controller.ts'
import { makeClaims } from './claims.ts'
import { type Settings } from './config.ts'
import { serveDocs } from './docs.ts'
import { httpAdapter } from './http.ts'
import { Ledger } from './ledger.ts'
import { openApi } from './openapi.ts'
import { servePage } from './page.ts'
import { ProblemFilter } from './problem.filter.ts'
import { Rates } from './rates.ts'
import { RatesController } from './rates.controller.ts'
import { RETRY_SETTINGS, RetryController, type RetrySettings } from './retry.controller.ts'
import { Retries } from './retry.ts'
import { routesOf } from './route.ts'
import { type SharedProducer } from './shared-producer.ts'
import { uploadMetrics } from './upload-metrics.ts'
import { Uploads } from './uploads.ts'
import { UPLOAD_SETTINGS, UploadsController, type UploadSettings } from './uploads.controller.ts'
import { Watchers } from './watchers.ts'

export const CONTROLLERS = [
  RatesController,
  CatalogueController,
  BatchesController,
  BatchActionsController,
  UploadsController,
  ChunkUploadsController,
  RetryController,
  ClaimsController,
  BottleneckController,
]

/** What the process has and the routes need. */
export interface Parts {
  readonly settings: Settings
  readonly log: Logger
  readonly registry: Registry
  readonly pool: Pool
  readonly ledger: Ledger
  readonly producer: SharedProducer
  /** Aborted when uploads cannot be waited for any longer. */
  readonly stopping: AbortSignal
  readonly draining: () => boolean
  /** Told each route that is served. */
  readonly onRoute?: (method: string, path: string) => void
}

/** The only wiring: which class is made of what. */
@Module({})
class AppModule {
  static with(
    { settings, log, registry, pool, ledger, producer, stopping }: Parts,
    filter: ProblemFilter,
    feed: BatchFeed,
  ): DynamicModule {
    const catalog = new Catalog(pool)
    const answers = new Answers(new Rates(pool, catalog), ledger, new BatchErrors(pool))
    const topics = topicNames(settings.KAFKA_PREFIX)
    const replyTopics = [topics.replies, ...settings.REPLY_TOPICS]
    // It cancels and reverts: only workers let a batch fail.
    const replies: ReplySettings = { replies: topics.replies, allowed: replyTopics, webhooks: null }
    const actions = new BatchActions({ pool, ledger, replies, windowDays: settings.REVERT_WINDOW_DAYS })
    const watchers = new Watchers(settings.WATCHERS_AT_ONCE, registry)
    const follow = new BatchFollow(feed, watchers)
    const uploads = new Uploads({
      pool,
      producer,
      topics,
      replies,
      ports: async () => (await catalog.current()).portTable(),
      publicUrl: settings.PUBLIC_URL,
      log,
    })
    const kafka = { brokers: settings.KAFKA_BROKERS, clientId: 'rates-api', log, security: kafkaSecurity(settings) }
    const publicUrl = settings.PUBLIC_URL
    const retries = new Retries({ pool, producer, kafka, topics, replies, publicUrl, log })
    const retrySettings: RetrySettings = { publicUrl, signal: stopping }
    const uploadSettings: UploadSettings = {
      publicUrl: settings.PUBLIC_URL,
      maxBytes: settings.UPLOAD_MAX_BYTES,
      idleMs: settings.UPLOAD_IDLE_SECONDS * 1000,
      atOnce: settings.UPLOADS_AT_ONCE,
      replyTopics,
      signal: stopping,
      metrics: uploadMetrics(registry),
    }
    const chunkSettings: ChunkSettings = { ...uploadSettings, atOnce: settings.CHUNKS_AT_ONCE, watchers }
    const { claims, readers, sweep } = makeClaims({ pool, settings, registry, log })
    const catalogueSettings: CatalogueSettings = { pool, idleMs: uploadSettings.idleMs, signal: stopping }
    return {
      module: AppModule,
      controllers: CONTROLLERS,
      providers: [
        { provide: Catalog, useValue: catalog },
        { provide: Answers, useValue: answers },
        { provide: Ledger, useValue: ledger },
        { provide: BatchActions, useValue: actions },
        { provide: BatchFollow, useValue: follow },
        { provide: Uploads, useValue: uploads },
        { provide: Retries, useValue: retries },
        { provide: RETRY_SETTINGS, useValue: retrySettings },
        { provide: ChunkUploads, useValue: new ChunkUploads({ pool, producer, topics }) },
        { provide: ClaimStore, useValue: claims },
        { provide: ClaimReaders, useValue: readers },
        { provide: ClaimSweep, useValue: sweep },
        { provide: Bottleneck, useValue: new Bottleneck(pool) },
        { provide: UPLOAD_SETTINGS, useValue: uploadSettings },
        { provide: CHUNK_SETTINGS, useValue: chunkSettings },
        { provide: CATALOGUE_SETTINGS, useValue: catalogueSettings },
        { provide: APP_FILTER, useValue: filter },
      ],
    }
  }
}

/** The service's routes, not listening yet. */
export async function createApp(parts: Parts): Promise<NestFastifyApplication> {
  const { settings, log, registry, pool, ledger, draining, onRoute } = parts
  const filter = new ProblemFilter(log)
  const feed = new BatchFeed({ pool, ledger, log })
  const adapter = httpAdapter({ registry, filter, draining, onRoute, onPost: () => feed.nudge() })
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(parts, filter, feed), adapter, {
    logger: nestLogger(log),
    bodyParser: false,
    abortOnError: false,
  })
  const document = (): object => openApi(routesOf(CONTROLLERS), settings.BUILD_VERSION, settings.PUBLIC_URL)
  servePage(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, filter)
  await serveDocs(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, filter, document)
  await app.init()
  return app
}

/** @returns the port, which is another one than the settings' where those say 0 */
export async function listen(app: NestFastifyApplication, host: string, port: number): Promise<number> {
  await app.listen({ host, port })
  return (app.getHttpServer().address() as AddressInfo).port
}

/** In this time a request that was on its way when we stopped listening has been read. */
const LAST_REQUESTS_MS = 250

/**
 * Stops listening, answers what has come and who waits, closes. The HTTP server's own close() would at once cut the
 * connections that look idle, also those whose request is not read yet. The last part of the time is for uploads that did not get
 * through: `abort` cancels their batches; then connections are cut whose callers do not take their answers.
 * @param users of what the app closes besides: it waits for them, too
 */
export async function closeGently(
  app: NestFastifyApplication,
  seconds: number,
  { abort, users }: { abort: () => void; users: Promise<void> | undefined },
): Promise<void> {
  const server = app.getHttpServer() as HttpServer
  const timers = [setTimeout(abort, seconds * 700), setTimeout(() => server.closeAllConnections(), seconds * 900)]
  try {
    Server.prototype.close.call(server)
    app.get(BatchFollow).leave() // and not before: they come again at once, and have to reach another process
    await Promise.all([sleep(LAST_REQUESTS_MS), users])
    await app.close()
  } finally {
    timers.forEach(clearTimeout)
  }
}
