import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { demoDump } from './demo-dump.ts'

// Writes db/demo/rates-demo.sql.gz, which `npm start` imports: node db/src/make-demo.ts
const file = fileURLToPath(new URL('../demo/rates-demo.sql.gz', import.meta.url))
const dump = demoDump()
const packed = gzipSync(dump, { level: 9 })
await mkdir(new URL('../demo/', import.meta.url), { recursive: true })
await writeFile(file, packed)
console.log(`${file}: ${dump.length} characters, ${packed.length} bytes compressed`)
