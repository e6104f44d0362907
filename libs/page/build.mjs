// Bundles the page into dist/: index.html, and a script and a style sheet whose names hold the hash of their content.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const here = import.meta.dirname
const dist = join(here, 'dist')
await rm(dist, { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx' },
  outdir: 'dist',
  entryNames: '[name]-[hash]',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'linked',
  metafile: true,
  logLevel: 'warning',
  // Types only: nothing of it gets into the bundle.
  conditions: ['source'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
})
const named = (extension) => {
  const file = Object.keys(metafile.outputs).find((path) => path.endsWith(extension))
  if (file === undefined) throw new Error(`no ${extension} was made`)
  return `page/${basename(file)}`
}
const shell = await readFile(join(here, 'src', 'index.html'), 'utf8')
await mkdir(dist, { recursive: true })
await writeFile(join(dist, 'index.html'), shell.replace('{{script}}', named('.js')).replace('{{style}}', named('.css')))
