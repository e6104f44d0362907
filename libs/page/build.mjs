// Bundles the page into dist/: index.html, and scripts and a style sheet whose names hold the hash of their content, each
// also compressed, so that the service has nothing to compress. A view that brings a library of its own is a script of
// its own, which is loaded when somebody goes there.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const here = import.meta.dirname
const dist = join(here, 'dist')
const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx' },
  outdir: 'dist',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'linked',
  logLevel: 'warning',
  metafile: true,
  write: false,
  conditions: ['source'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
})

const files = new Map()
for (const { path, contents } of outputFiles) if (!path.endsWith('.css')) files.set(basename(path), contents)
// Nothing would load a later view's own sheet: all of them are one, that of the entry first.
const sheets = outputFiles
  .filter(({ path }) => path.endsWith('.css'))
  .sort((a, b) => Number(basename(b.path).startsWith('app-')) - Number(basename(a.path).startsWith('app-')))
const style = Buffer.concat(sheets.map(({ contents }) => contents))
const styleName = `app-${createHash('sha256').update(style).digest('hex').slice(0, 8).toUpperCase()}.css`
files.set(styleName, style)
for (const [name, content] of [...files]) {
  if (!/\.(js|css)$/.test(name)) continue
  files.set(`${name}.gz`, gzipSync(content, { level: 9 }))
  files.set(`${name}.br`, brotliCompressSync(content))
}

const [entry, { imports }] = Object.entries(metafile.outputs).find(
  ([, { entryPoint }]) => entryPoint === 'src/main.tsx',
)
const preloads = imports
  .filter(({ kind }) => kind === 'import-statement')
  .map(({ path }) => `<link rel="modulepreload" href="page/${basename(path)}" />`)
const values = { script: `page/${basename(entry)}`, style: `page/${styleName}`, preloads: preloads.join('\n    ') }
const shell = (await readFile(join(here, 'src', 'index.html'), 'utf8')).replaceAll(
  /\{\{(script|style|preloads)\}\}/g,
  (_, name) => values[name],
)

// What refers to the others comes last, and what they replace goes after that: a service that runs goes on working.
await mkdir(dist, { recursive: true })
for (const [name, content] of files) await writeFile(join(dist, name), content)
await writeFile(join(dist, 'index.html'), shell)
for (const name of await readdir(dist)) {
  if (name !== 'index.html' && !files.has(name)) await rm(join(dist, name), { recursive: true })
}
