import { Controller, Inject, Param, Query, Req, Res } from '@nestjs/common'
import {
  CATALOGUE_RULES,
  CatalogueRefused,
  isConflict,
  MAX_CATALOGUE_BYTES,
  MAX_CATALOGUE_ROWS,
  type CatalogueFault,
  type CatalogueKind,
} from '@rates/db/catalogue-entry'
import { CATALOGUE_COLUMNS, readCatalogueFile, type GivenEntries } from '@rates/db/catalogue-file'
import { changeCatalogue, type CatalogueChange, type CatalogueChanges } from '@rates/db/change-catalogue'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { type Pool } from 'pg'
import { z } from 'zod'
import { Catalog, type Port, type Region } from './catalog.ts'
import { readEntryBody } from './catalogue-entry-body.ts'
import { Problem } from './problem.ts'
import { readParameters, Route, type RouteDescription } from './route.ts'
import {
  catalogueChangesSchema,
  portSchema,
  portsSchema,
  problemSchema,
  regionSchema,
  regionsSchema,
} from './schemas.ts'
import { discardRest, readBody } from './upload-body.ts'

export interface CatalogueSettings {
  pool: Pool
  /** Without a byte for so long, a request is given up. */
  idleMs: number
  /** Aborted when the process cannot wait for bodies any longer. */
  signal: AbortSignal
}
export const CATALOGUE_SETTINGS = Symbol('catalogue settings')

const MAX_ENTRY_BYTES = 16 << 10
/** Faults and changes of a file that are told; their number is told whatever it is. */
const MAX_TOLD = 1000

const REFUSED: RouteDescription['answers'] = {
  400: {
    description: '`errors` has every fault: its line (of a file), field, value and rule.',
    schema: problemSchema,
  },
  413: { description: 'Too much content.', schema: problemSchema },
  415: { description: 'Not the type that is taken here.', schema: problemSchema },
  422: {
    description:
      'A region is named that is not there, or regions would lie within themselves; `errors` has every fault.',
    schema: problemSchema,
  },
}

const importQuery = z.object({
  dryRun: z.enum(['true', 'false']).default('false').meta({ description: '`true`: only tell what would change.' }),
})

const importRoute = (kind: CatalogueKind, example: string, more: string): RouteDescription => ({
  method: 'POST',
  path: `/${kind}`,
  summary: `Add and change ${kind} by a CSV file`,
  description:
    `The first line names the columns ${CATALOGUE_COLUMNS[kind].join(', ')}. All of the file or nothing of it counts; ` +
    `what it does not name stays as it is. At most ${MAX_CATALOGUE_ROWS} rows. ${more}`,
  query: importQuery,
  body: { description: `The ${kind}.`, contentTypes: { 'text/csv': example } },
  answers: { 200: { description: 'What changed.', schema: catalogueChangesSchema }, ...REFUSED },
})

/** Ports and regions: read, added and changed, never deleted. */
@Controller()
export class CatalogueController {
  readonly #catalog: Catalog
  readonly #settings: CatalogueSettings
  #importing = false

  constructor(catalog: Catalog, @Inject(CATALOGUE_SETTINGS) settings: CatalogueSettings) {
    this.#catalog = catalog
    this.#settings = settings
  }

  @Route({
    method: 'GET',
    path: '/ports',
    summary: 'All ports',
    answers: { 200: { description: 'In order of their codes.', schema: portsSchema } },
  })
  async ports(): Promise<{ ports: readonly Port[] }> {
    return { ports: (await this.#catalog.current()).ports }
  }

  @Route({
    method: 'GET',
    path: '/regions',
    summary: 'All regions',
    answers: { 200: { description: 'In order of their slugs.', schema: regionsSchema } },
  })
  async regions(): Promise<{ regions: readonly Region[] }> {
    return { regions: (await this.#catalog.current()).regions }
  }

  @Route({
    method: 'PUT',
    path: '/ports/:code',
    summary: 'Add or change a port',
    description: 'Batches and reads know it from the next one on. To repeat it changes nothing.',
    params: z.object({ code: z.string().meta({ description: "The port's code.", examples: ['CNSGH'] }) }),
    body: {
      description: 'The port.',
      contentTypes: { 'application/json': { name: 'Shanghai', region: 'china_main' } },
      schema: portSchema.omit({ code: true }),
    },
    answers: {
      200: { description: 'It was there before.', schema: portSchema },
      201: { description: 'It was added.', schema: portSchema },
      ...REFUSED,
    },
  })
  async putPort(
    @Param('code') code: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { name, parent } = await this.#put('ports', code, request, reply)
    await reply.send({ code, name, region: parent })
  }

  @Route({
    method: 'PUT',
    path: '/regions/:slug',
    summary: 'Add or change a region',
    description: 'Its ports come with it where it moves to. To repeat it changes nothing.',
    params: z.object({ slug: z.string().meta({ description: "The region's slug.", examples: ['china_main'] }) }),
    body: {
      description: 'The region; `parent` is null for one that lies in no other.',
      contentTypes: { 'application/json': { name: 'China Main', parent: 'china' } },
      schema: regionSchema.omit({ slug: true }),
    },
    answers: {
      200: { description: 'It was there before.', schema: regionSchema },
      201: { description: 'It was added.', schema: regionSchema },
      ...REFUSED,
    },
  })
  async putRegion(
    @Param('slug') slug: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { name, parent } = await this.#put('regions', slug, request, reply)
    await reply.send({ slug, name, parent })
  }

  @Route(importRoute('ports', 'code,name,parent_slug\nCNSGH,Shanghai,china_main\n', 'Regions have to be there.'))
  async importPorts(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    await reply.send(await this.#import('ports', request, query))
  }

  @Route(
    importRoute(
      'regions',
      'slug,name,parent_slug\nchina,China,\nchina_main,China Main,china\n',
      'In any order; without parent_slug a region lies in no other.',
    ),
  )
  async importRegions(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    await reply.send(await this.#import('regions', request, query))
  }

  async #put(
    kind: CatalogueKind,
    key: string,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<CatalogueChange['after']> {
    const body = await this.#body(request, 'application/json', MAX_ENTRY_BYTES)
    const given = readEntryBody(kind, key, body)
    const { added } = await this.#change(kind, given, false)
    void reply.status(added > 0 ? 201 : 200)
    const { name, parent } = given.entries.get(key)!
    return { name, parent }
  }

  /** One at a time: each holds its file in memory, and they would wait for each other in the database. */
  async #import(kind: CatalogueKind, request: FastifyRequest, query: unknown): Promise<object> {
    try {
      const dryRun = readParameters(importQuery, query).dryRun === 'true'
      if (this.#importing) {
        throw new Problem(503, 'Another import is going on.', { headers: { 'retry-after': '2' } })
      }
      this.#importing = true
      try {
        const given = readCatalogueFile(kind, await this.#body(request, 'text/csv', MAX_CATALOGUE_BYTES))
        return told(kind, dryRun, await this.#change(kind, given, dryRun))
      } finally {
        this.#importing = false
      }
    } catch (error) {
      discardRest(request.raw)
      throw error
    }
  }

  async #change(kind: CatalogueKind, given: GivenEntries, dryRun: boolean): Promise<CatalogueChanges> {
    try {
      return await changeCatalogue(this.#settings.pool, kind, given, { dryRun })
    } catch (error) {
      throw error instanceof CatalogueRefused ? refusal(error.faults) : error
    }
  }

  async #body(request: FastifyRequest, type: string, maxBytes: number): Promise<Uint8Array> {
    try {
      const { 'content-type': given = '', 'content-encoding': encoding = 'identity' } = request.headers
      if (given.split(';')[0]!.trim().toLowerCase() !== type || encoding !== 'identity') {
        throw new Problem(415, `The content is to be ${type}, not compressed.`)
      }
      const { idleMs, signal } = this.#settings
      const pieces: Uint8Array[] = []
      for await (const piece of readBody(request.raw, 'identity', { maxBytes, idleMs }, signal)) pieces.push(piece)
      return Buffer.concat(pieces)
    } catch (error) {
      discardRest(request.raw)
      throw error
    }
  }
}

function told(kind: CatalogueKind, dryRun: boolean, { added, changed, unchanged, changes }: CatalogueChanges): object {
  const [key, parent] = kind === 'ports' ? ['code', 'region'] : ['slug', 'parent']
  const content = (of: CatalogueChange['before']): object | null => of && { name: of.name, [parent!]: of.parent }
  return {
    dryRun,
    added,
    changed,
    unchanged,
    changes: changes
      .slice(0, MAX_TOLD)
      .map((change) => ({ [key!]: change.key, before: content(change.before), after: content(change.after) })),
  }
}

function refusal(faults: readonly CatalogueFault[]): Problem {
  const first = faults.slice(0, 3).map(inWords).join('; ')
  const more = faults.length > 3 ? `; and ${faults.length - 3} more` : ''
  const status = faults.every(isConflict) ? 422 : 400
  const extensions = { faults: faults.length, errors: faults.slice(0, MAX_TOLD) }
  return new Problem(status, `${first}${more}. Nothing was changed.`, { extensions })
}

function inWords({ line, field, value, rule }: CatalogueFault): string {
  const place = [line === null ? [] : `line ${line}`, field ?? []].flat().join(', ')
  const what = field === null && value === '' ? '' : ` ${JSON.stringify(value)}`
  return `${place}${place === '' ? '' : ':'}${what} ${what === '' ? '' : '- '}${CATALOGUE_RULES[rule]}`.trim()
}
