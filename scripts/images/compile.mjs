// Run in a pod by `skaffold dev`, in /app: compiles the sources that were just copied there.
import { existsSync, globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { transformFile } from '@swc/core'

const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

for (const source of globSync(['libs/*/src/**/*.ts', 'db/src/**/*.ts', 'services/*/src/**/*.ts'])) {
  const compiled = source.replace('/src/', '/dist/').replace(/\.ts$/, '.js')
  if (source.endsWith('.d.ts')) continue
  // Another program's sources are copied, too, but it is not here.
  if (!existsSync(source.replace(/\/src\/.*/, '/dist')) || time(compiled) >= time(source)) continue
  const { code } = await transformFile(source, { configFile: '.swcrc', sourceMaps: false })
  mkdirSync(dirname(compiled), { recursive: true })
  writeFileSync(compiled, code)
  console.log(compiled)
}
