import { startPostgres } from '@rates/local/postgres'
import { startKafka } from '@rates/local/kafka'
import { migrate } from '@rates/db/migrate'
import { connectAdmin } from '@rates/service/kafka'
import { ensureTopics } from '@rates/service/topics'
import { createLogger } from '@rates/service/log'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import pg from 'pg'
const log = createLogger('t', 'warn')
const P = await startPostgres({ dir: '/var/tmp/cli-play-pg', port: 0 })
const K = await startKafka({ dir: '/var/tmp/cli-play-kafka', port: 0 })
const c = new pg.Client(P.url); await c.connect(); await c.query('drop database if exists play with (force)'); await c.query('create database play'); await c.end()
const url = P.url.replace(/\/[^/]*$/, '/play')
await migrate(url)
const db = new pg.Pool({ connectionString: url })
await db.query(`insert into regions values ('world','World',null)`)
await db.query(`insert into ports(code,name,parent_slug) select 'P'||chr(65+i%26)||chr(65+i/26)||'XX', 'port '||i, 'world' from generate_series(0,74) i`)
await db.end()
const prefix = 'play' + Date.now() + '.'
const admin = await connectAdmin({ brokers: [K.brokers], clientId: 'play', log })
await ensureTopics(admin, prefix); await admin.createTopic(prefix + 'my-replies', 1, 1, {}); await admin.close()
const env = { ...process.env, DATABASE_URL: url, KAFKA_BROKERS: K.brokers, KAFKA_PREFIX: prefix, NODE_OPTIONS: '', REPLY_TOPICS: prefix + 'my-replies', HOST: '127.0.0.1' }
const node = ['--conditions=source', '--import', '@swc-node/register/esm-register']
const run = (m: string, e: object) => spawn(process.execPath, [...node, m], { env: { ...env, ...e } as never, stdio: ['ignore', 'inherit', 'inherit'] })
const kids = [1, 2].map((i) => run('services/ingest/src/main.ts', { WORKER_NAME: 'ingest-' + i, MANAGEMENT_PORT: '0' }))
kids.push(run('services/rates-api/src/main.ts', { PORT: '28080', MANAGEMENT_PORT: '0' }))
writeFileSync('/tmp/cli-play.env', `export KAFKA_BROKERS=${K.brokers} KAFKA_PREFIX=${prefix} RATES_URL=http://127.0.0.1:28080 DATABASE_URL=${url}\nKIDS="${kids.map((k) => k.pid)}"\n`)
console.log('UP')
await new Promise<void>((r) => process.once('SIGTERM', () => r()))
for (const k of kids) k.kill('SIGTERM')
await Promise.all(kids.map((k) => new Promise((r) => k.exitCode === null && k.signalCode === null ? k.once('exit', r) : r(0))))
await K.stop(); await P.stop(); process.exit(0)
