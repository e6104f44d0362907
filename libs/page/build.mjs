// Bundles the page into dist/: index.html, and a script and a style sheet whose names hold the hash of their content,
// each also compressed, so that the service has nothing to compress.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const here = import.meta.dirname
const dist = join(here, 'dist')
const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx' },
  outdir: 'dist',
  entryNames: '[name]-[hash]',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'linked',
  logLevel: 'warning',
  write: false,
  conditions: ['source'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
})

const files = new Map()
for (const { path, contents } of outputFiles) {
  const name = basename(path)
  files.set(name, contents)
  if (!/\.(js|css)$/.test(name)) continue
  files.set(`${name}.gz`, gzipSync(contents, { level: 9 }))
  files.set(
    `${name}.br`,
    brotliCompressSync(contents, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: contents.length } }),
  )
}
const named = (extension) => {
  const name = [...files.keys()].find((each) => each.endsWith(extension))
  if (name === undefined) throw new Error(`no ${extension} was made`)
  return `page/${name}`
}
const shell = await readFile(join(here, 'src', 'index.html'), 'utf8')

// What refers to the others comes last, and what they replace goes after that: a service that runs goes on working.
await mkdir(dist, { recursive: true })
for (const [name, content] of files) await writeFile(join(dist, name), content)
await writeFile(join(dist, 'index.html'), shell.replace('{{script}}', named('.js')).replace('{{style}}', named('.css')))
for (const name of await readdir(dist)) {
  if (name !== 'index.html' && !files.has(name)) await rm(join(dist, name), { recursive: true })
}
