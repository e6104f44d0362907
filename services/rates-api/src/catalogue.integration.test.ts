import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { catalogueChangesSchema, portSchema, regionSchema } from './schemas.ts'
import { seedCatalog, startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp({ UPLOAD_IDLE_SECONDS: '0.3' })
  await seedCatalog(api.pool, ['asia', 'china:asia', 'europe'], ['CNSHA:china', 'NLRTM:europe'])
})
afterAll(() => api.close())

interface Answer {
  status: number
  body: {
    detail: string
    faults?: number
    errors?: { line: number | null; field: string; value: string; rule: string }[]
  }
}

async function send(method: string, path: string, body: string | Buffer, type: string, headers = {}): Promise<Answer> {
  const answer = await fetch(api.url + path, { method, body, headers: { 'content-type': type, ...headers } })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}
const put = (path: string, body: unknown): Promise<Answer> =>
  send('PUT', path, typeof body === 'string' ? body : JSON.stringify(body), 'application/json')
const post = (path: string, body: string | Buffer): Promise<Answer> => send('POST', path, body, 'text/csv')
const faults = ({ body }: Answer): (string | number | null)[][] =>
  body.errors!.map(({ line, field, value, rule }) => [line, field, value, rule])

/** Everything that a change may touch. */
async function state(): Promise<{ version: bigint; ports: string[]; regions: string[] }> {
  const { rows } = await api.pool.query<{ version: bigint; ports: string[]; regions: string[] }>(
    `select version, (select array_agg(concat_ws('|', code, name, parent_slug) order by code) from ports) as ports,
       (select array_agg(concat_ws('|', slug, name, parent_slug) order by slug) from regions) as regions from catalog`,
  )
  return rows[0]!
}

describe('PUT /ports/:code', () => {
  it('adds a port, changes it, and raises the version only when something changes', async () => {
    const before = await state()
    const ningbo = { name: 'Ningbo', region: 'china' }
    const added = await put('/ports/CNNGB', ningbo)
    expect(added.status).toBe(201)
    expect(portSchema.parse(added.body)).toEqual({ code: 'CNNGB', ...ningbo })
    const after = await state()
    expect(after.ports).toContain('CNNGB|Ningbo|china')
    expect(after.version).toBe(before.version + 1n)

    expect(await put('/ports/CNNGB', ningbo)).toEqual({ status: 200, body: { code: 'CNNGB', ...ningbo } })
    expect((await state()).version).toBe(after.version)

    expect(await put('/ports/CNNGB', { name: 'Ningbo-Zhoushan', region: 'asia' })).toMatchObject({ status: 200 })
    expect((await state()).ports).toContain('CNNGB|Ningbo-Zhoushan|asia')
    expect((await api.get('/ports')).body).toMatchObject({
      ports: expect.arrayContaining([{ code: 'CNNGB', name: 'Ningbo-Zhoushan', region: 'asia' }]),
    })
  })

  it('takes any code that a row may hold', async () => {
    for (const code of ["L'Île d'Yeu", 'a/b', 'NOOSL', '%', 'x'.repeat(100)]) {
      expect((await put(`/ports/${encodeURIComponent(code)}`, { name: 'x', region: 'asia' })).status).toBe(201)
      expect((await state()).ports).toContain(`${code}|x|asia`)
    }
  })

  it('tells every fault at once, and changes nothing', async () => {
    const before = await state()
    const bad = await put('/ports/%20X', { name: '', region: 'narnia', parent: 'china', id: 7 })
    expect(bad.status).toBe(400)
    expect(faults(bad)).toEqual([
      [null, 'code', ' X', 'spaces'],
      [null, 'name', '', 'empty'],
      [null, 'parent', '', 'unknown_field'],
      [null, 'id', '', 'unknown_field'],
      [null, 'region', 'narnia', 'unknown_region'],
    ])
    expect(bad.body.detail).toMatch(/^code: " X" - no spaces at the start or the end; .*Nothing was changed\.$/)
    expect(faults(await put('/ports/X', {}))).toEqual([
      [null, 'name', '', 'missing_field'],
      [null, 'region', '', 'missing_field'],
    ])
    expect(faults(await put('/ports/X', { name: 7, region: null }))).toEqual([
      [null, 'name', '7', 'text_expected'],
      [null, 'region', 'null', 'text_expected'],
    ])
    expect(faults(await put('/ports/X', { name: '\ud800', region: 'a\nb' }))).toEqual([
      [null, 'name', '\ud800', 'characters'],
      [null, 'region', 'a\nb', 'characters'],
    ])
    expect(faults(await put(`/ports/${'x'.repeat(101)}`, { name: 'x'.repeat(201), region: 'asia' }))).toMatchObject([
      [null, 'code', expect.anything(), 'too_long'],
      [null, 'name', expect.anything(), 'too_long'],
    ])
    for (const body of [
      '',
      '{',
      '[]',
      '7',
      'null',
      '{"name":"\u0000"',
      Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'),
    ]) {
      expect(faults(await put('/ports/X', body))).toEqual([[null, null, '', 'json']])
    }
    expect(await state()).toEqual(before)
  })

  it.each(['\0', 'a\0b', 'a\ud800', '\udc00b'])('refuses %j, which PostgreSQL would not keep', async (odd) => {
    const before = await state()
    const answer = await put('/ports/CNODD', { name: odd, region: odd })
    expect([answer.status, faults(answer).map(([, field, , rule]) => [field, rule])]).toEqual([
      400,
      [
        ['name', 'characters'],
        ['region', 'characters'],
      ],
    ])
    expect((await put('/regions/odd', { name: odd, parent: odd })).status).toBe(400)
    for (const path of ['/ports/CN%00', '/regions/a%00']) {
      const fields = { name: 'x', [path.startsWith('/ports') ? 'region' : 'parent']: 'asia' }
      expect((await put(path, fields)).status).toBe(400)
    }
    expect(await state()).toEqual(before)
  })

  it('answers 422 for a region that is not there', async () => {
    const answer = await put('/ports/X', { name: 'x', region: 'narnia' })
    expect(answer).toMatchObject({
      status: 422,
      body: { detail: 'region: "narnia" - no region has this slug. Nothing was changed.', faults: 1 },
    })
  })

  it('takes a small JSON body, uncompressed, and nothing else', async () => {
    expect((await put('/ports/X', { name: 'x'.repeat(20_000), region: 'asia' })).status).toBe(413)
    const body = JSON.stringify({ name: 'x', region: 'asia' })
    expect((await send('PUT', '/ports/X', body, 'text/csv')).status).toBe(415)
    expect((await send('PUT', '/ports/X', body, 'text/plain')).status).toBe(415)
    expect((await send('PUT', '/ports/X', body, 'application/json', { 'content-encoding': 'gzip' })).status).toBe(415)
    expect((await send('PUT', '/ports/XCHAR', body, 'Application/JSON; charset=utf-8')).status).toBe(201)
    expect((await send('POST', '/batches', body, 'application/json')).status).toBe(415)
  })

  it('gives up on a body that does not come', async () => {
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': '50' }
      const slow = request(`${api.url}/ports/X`, { method: 'PUT', headers }, ({ statusCode }) => {
        resolve(statusCode)
        slow.destroy()
      })
      slow.on('error', reject).write('{')
    })
    expect(status).toBe(408)
  })
})

describe('PUT /regions/:slug', () => {
  it('adds a root and what lies in it, and moves it', async () => {
    const added = await put('/regions/oceania', { name: 'Oceania', parent: null })
    expect([added.status, regionSchema.parse(added.body)]).toEqual([
      201,
      { slug: 'oceania', name: 'Oceania', parent: null },
    ])
    expect((await put('/regions/fiji', { name: 'Fiji', parent: 'oceania' })).status).toBe(201)
    expect((await put('/regions/fiji', { name: 'Fiji', parent: 'asia' })).status).toBe(200)
    expect((await state()).regions).toEqual(expect.arrayContaining(['oceania|Oceania', 'fiji|Fiji|asia']))
  })

  it('makes no root of a region by a parent that was left out', async () => {
    expect(faults(await put('/regions/china', { name: 'China' }))).toEqual([[null, 'parent', '', 'missing_field']])
  })

  it('refuses a region within itself, and an unknown parent', async () => {
    const before = await state()
    for (const [slug, parent] of [
      ['asia', 'china'],
      ['asia', 'asia'],
      ['new', 'new'],
    ]) {
      const answer = await put(`/regions/${slug}`, { name: 'x', parent })
      expect([answer.status, faults(answer)]).toEqual([422, [[null, 'parent', parent, 'cycle']]])
    }
    expect(faults(await put('/regions/new', { name: 'x', parent: 'narnia' }))).toEqual([
      [null, 'parent', 'narnia', 'unknown_region'],
    ])
    expect(await state()).toEqual(before)
  })
})

describe('POST /regions and POST /ports', () => {
  it('bring in a file in any order of rows and columns, and tell what changed', async () => {
    const regions =
      'slug,name,parent_slug\r\nbavaria,Bavaria,germany\r\ngermany,"Germany, ""D""",\r\nchina,China,asia\r\n'
    const { status, body } = await post('/regions', `\ufeff${regions}`)
    expect(status).toBe(200)
    expect(catalogueChangesSchema.parse(body)).toEqual({
      dryRun: false,
      added: 2,
      changed: 1,
      unchanged: 0,
      changes: [
        { slug: 'bavaria', before: null, after: { name: 'Bavaria', parent: 'germany' } },
        { slug: 'germany', before: null, after: { name: 'Germany, "D"', parent: null } },
        { slug: 'china', before: { name: 'Region china', parent: 'asia' }, after: { name: 'China', parent: 'asia' } },
      ],
    })
    const ports = 'name,parent_slug,code\nMunich,bavaria,DEMUC\nPort NLRTM,europe,NLRTM\nMunich,bavaria,DEMUC\n'
    expect(await post('/ports', ports)).toMatchObject({ status: 200, body: { added: 1, changed: 0, unchanged: 1 } })
    const after = await state()
    expect(after.ports).toContain('DEMUC|Munich|bavaria')
    expect(await post('/ports', ports)).toMatchObject({ body: { added: 0, changed: 0, unchanged: 2, changes: [] } })
    expect(await state()).toEqual(after)
  })

  it('only tell it in a dry run', async () => {
    const before = await state()
    const next = await api.pool.query<{ id: string }>(`select last_value as id from ports_id_seq`)
    expect(await post('/ports?dryRun=true', 'code,name,parent_slug\nNEW,New,asia\nCNSHA,Shanghai,asia')).toMatchObject({
      status: 200,
      body: {
        dryRun: true,
        added: 1,
        changed: 1,
        changes: [
          { code: 'NEW', before: null, after: { name: 'New', region: 'asia' } },
          {
            code: 'CNSHA',
            before: { name: 'Port CNSHA', region: 'china' },
            after: { name: 'Shanghai', region: 'asia' },
          },
        ],
      },
    })
    expect(await state()).toEqual(before)
    expect((await api.pool.query(`select last_value as id from ports_id_seq`)).rows).toEqual(next.rows)
    expect((await post('/ports?dryRun=yes', 'code,name,parent_slug\nNEW,New,asia')).status).toBe(400)
  })

  it('tell every fault of a file with its line, and change nothing', async () => {
    const before = await state()
    const ports = await post(
      '/ports',
      [
        'code,name,parent_slug',
        'GOOD,Good,asia',
        ',No code,asia',
        'A,"two\nlines",asia',
        'B,B',
        'C,"C"x,asia',
        'D,D,narnia',
        'E,,',
        'GOOD,Other,asia',
        '',
        'F,"open,asia',
      ].join('\n'),
    )
    expect(ports.status).toBe(400)
    expect(faults(ports)).toEqual([
      [3, 'code', '', 'empty'],
      [4, 'name', 'two\nlines', 'characters'],
      [6, null, 'B,B', 'columns'],
      [7, null, 'C,"C"x,asia', 'quotes'],
      [8, 'parent_slug', 'narnia', 'unknown_region'],
      [9, 'name', '', 'empty'],
      [9, 'parent_slug', '', 'empty'],
      [10, 'code', 'GOOD', 'duplicate'],
      [11, null, '', 'columns'],
      [12, null, 'F,"open,asia', 'quotes'],
    ])
    const regions = await post(
      '/regions',
      [
        'slug,name,parent_slug',
        'a,A,b',
        'b,B,c',
        'c,C,a',
        'below,Below,a',
        'x,X,bad',
        'bad,,gone',
        'y,Y,nowhere',
        'asia,Asia,china',
      ].join('\n'),
    )
    expect([regions.status, faults(regions)]).toEqual([
      400,
      [
        [2, 'parent_slug', 'b', 'cycle'],
        [3, 'parent_slug', 'c', 'cycle'],
        [4, 'parent_slug', 'a', 'cycle'],
        [7, 'name', '', 'empty'],
        [7, 'parent_slug', 'gone', 'unknown_region'],
        [8, 'parent_slug', 'nowhere', 'unknown_region'],
        [9, 'parent_slug', 'china', 'cycle'],
      ],
    ])
    expect((await post('/ports', 'code,name,parent_slug\nA,A,narnia')).status).toBe(422)
    expect(await state()).toEqual(before)
  })

  it('tell a file of the other kind, or of none, by its first line', async () => {
    for (const content of [
      'slug,name,parent_slug\na,A,',
      'A,A,asia\n',
      'code,name,parent_slug,id\n',
      'code,name,name',
      '',
    ]) {
      expect(faults(await post('/ports', content))).toEqual([[1, null, content.split('\n')[0], 'header']])
    }
    expect(faults(await post('/ports', 'code,name,parent_slug\n'))).toEqual([[null, null, '', 'no_rows']])
    expect(faults(await post('/ports', Buffer.from('code,name,parent_slug\nA,\xe9,asia', 'latin1')))).toEqual([
      [null, null, '', 'utf8'],
    ])
  })

  it('take thousands of rows, and hundreds of levels never', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `X${i},Port ${i},asia`)
    expect(await post('/ports', ['code,name,parent_slug', ...many].join('\n'))).toMatchObject({
      body: { added: 5_000 },
    })
    const bad = await post('/ports', ['code,name,parent_slug', ...many.map((line) => `${line}x`)].join('\n'))
    expect([bad.status, bad.body.faults, bad.body.errors!.length]).toEqual([422, 5_000, 1000])
    const chain = Array.from({ length: 30_000 }, (_, i) => `r${i},R,${i === 0 ? '' : `r${i - 1}`}`)
    const deep = await post('/regions', ['slug,name,parent_slug', ...chain.reverse()].join('\n'))
    expect([deep.status, deep.body.faults]).toEqual([422, 30_000 - 100])
    expect(await post('/regions', ['slug,name,parent_slug', ...chain.slice(-100)].join('\n'))).toMatchObject({
      body: { added: 100 },
    })
    expect((await post('/ports', 'code,name,parent_slug\n' + ',,\n'.repeat(50_001))).body.errors).toMatchObject([
      { line: 50_002, rule: 'too_many_rows' },
    ])
    expect((await post('/ports', 'x'.repeat((8 << 20) + 1))).status).toBe(413)
  })

  it('are one at a time, and together with single changes leave what one of them says', async () => {
    const file = (name: string): string =>
      ['code,name,parent_slug', ...Array.from({ length: 200 }, (_, i) => `Y${i},${name},asia`)].join('\n')
    const answers = await Promise.all([
      ...['first', 'second', 'third'].map((name) => post('/ports', file(name))),
      ...Array.from({ length: 10 }, (_, i) => put(`/ports/Z${i}`, { name: 'z', region: 'china' })),
    ])
    const statuses = answers.map(({ status }) => status)
    expect(statuses.slice(3)).toEqual(Array(10).fill(201))
    expect(statuses.slice(0, 3).filter((status) => status === 200).length).toBeGreaterThan(0)
    expect(statuses.slice(0, 3).filter((status) => status !== 200 && status !== 503)).toEqual([])
    const { rows } = await api.pool.query(`select distinct name from ports where code like 'Y%'`)
    expect(rows).toHaveLength(1)
  })
})
