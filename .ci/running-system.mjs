// Starts the system as a user does, imports a dump of the original service, asks over HTTP for answers that the original
// gave (from its own PostgreSQL 15), sends a batch from the console producer, and stops it with Ctrl-C's signal.
// The argument is the dump; where it is not there, only the demo data are asked for.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const dump = process.argv[2]
let failures = 0
const check = (what, actual, expected) => {
  const ok = JSON.stringify(actual) === JSON.stringify(expected)
  if (!ok) failures++
  console.log(
    `${ok ? 'ok  ' : 'FAIL'} ${what}${ok ? '' : `\n     is       ${JSON.stringify(actual)}\n     expected ${JSON.stringify(expected)}`}`,
  )
}
const run = (command, args, input) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (data) => (out += data))
    child.once('exit', (code) => resolve({ code, out }))
    if (input !== undefined) child.stdin.end(input)
  })

// Where there is a Prometheus, it runs beside the system.
const monitored = spawnSync(process.env.PROMETHEUS_BIN || 'prometheus', ['--version']).status === 0
const system = spawn('npm', ['start', ...(monitored ? ['--', '--monitoring'] : [])], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
})
let terminal = ''
system.stdout.on('data', (data) => {
  terminal += data
  process.stdout.write(data)
})
const exited = new Promise((resolve) => system.once('exit', resolve))
const state = () =>
  existsSync('.rates/state.json') ? JSON.parse(readFileSync('.rates/state.json', 'utf8')) : undefined
const ready = async () => {
  for (const deadline = Date.now() + 300_000; Date.now() < deadline; await sleep(500)) {
    if (/Ctrl-C stops/.test(terminal) && state()?.phase === 'running') return state().url
    if (system.exitCode !== null) break
  }
  throw new Error('npm start did not get ready')
}

const until = async (ask, wanted) => {
  for (const deadline = Date.now() + 30_000; ; await sleep(500)) {
    const answer = await ask()
    if (answer === wanted || Date.now() > deadline) return answer
  }
}

try {
  const api = await ready()
  const get = async (path) => (await fetch(`${api}${path}`)).json()
  check('GET /', await get('/'), { message: 'Hello world!' })
  check('two workers say what they do', await until(async () => (await get('/bottleneck')).reporting, 2), 2)
  if (monitored) {
    const { prometheusUrl } = state()
    const up = async () =>
      (await (await fetch(`${prometheusUrl}/api/v1/query?query=count(up==1)`)).json()).data.result[0]?.value[1]
    check('Prometheus sees all three', await until(up, '3'), '3')
  } else console.log('skip --monitoring: there is no Prometheus')

  if (dump && existsSync(dump)) {
    check('import', (await run('npm', ['run', 'import', '--', dump])).code, 0)
    const again = await run('npm', ['run', 'import', '--', dump])
    check('the same dump again changes nothing', [again.code, /already|unchanged|nothing/i.test(again.out)], [0, true])
    check('a pair', await get('/rates?date_from=2021-01-30&date_to=2021-02-01&orig_code=CNGGZ&dest_code=EETLL'), {
      rates: [
        { count: null, day: '2021-02-01', price: null },
        { count: 3, day: '2021-01-31', price: 1154.3333333333333 },
        { count: 3, day: '2021-01-30', price: 1154.3333333333333 },
      ],
    })
    check(
      'fewer than three prices',
      await get('/rates?date_from=2021-1-22&date_to=2021-01-22&orig_code=CNNBO&dest_code=NOTAE'),
      {
        rates: [{ count: 2, day: '2021-01-22', price: null }],
      },
    )
    check(
      'regions',
      await get('/rates?date_from=2021-01-01&date_to=2021-01-04&orig_code=china_main&dest_code=northern_europe'),
      {
        rates: [
          { count: 1801, day: '2021-01-04', price: 1455.9205996668518 },
          { count: 1833, day: '2021-01-03', price: 1462.6623022367703 },
          { count: 1833, day: '2021-01-02', price: 1462.5979268957992 },
          { count: 1833, day: '2021-01-01', price: 1462.6830332787779 },
        ],
      },
    )
    check('ports', (await get('/ports')).ports.filter(({ code }) => code === 'CNGGZ').length, 1)
    // A batch by a producer that knows nothing of us.
    const prices = [10, 20, 33].map((price) => ({ orig_code: 'CNGGZ', dest_code: 'EETLL', day: '2030-05-05', price }))
    await run(
      'npm',
      ['run', 'kafka', '--', 'console-producer', '--topic', 'rates.batches'],
      `${JSON.stringify({ prices })}\n`,
    )
    let rates
    for (let i = 0; i < 100; i++) {
      ;({ rates } = await get('/rates?date_from=2030-05-05&date_to=2030-05-05&orig_code=CNGGZ&dest_code=EETLL'))
      if (rates[0].count !== null) break
      await sleep(100)
    }
    check('a batch of the console producer', rates, [{ count: 3, day: '2030-05-05', price: 21 }])
  }
} catch (error) {
  failures++
  console.log(`FAIL ${error.stack}`)
} finally {
  const before = state()
  process.kill(-system.pid, 'SIGINT')
  const code = await Promise.race([exited, sleep(30_000).then(() => 'still running')])
  check('Ctrl-C ends it', [0, 130].includes(code), true)
  const left = (before?.processes ?? []).filter(({ pid }) => existsSync(`/proc/${pid}`))
  check('and leaves no process', left, [])
}
process.exit(failures === 0 ? 0 : 1)
