// Run in a pod by `skaffold dev`, in /app: compiles the sources that were just copied there.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { transformFile } from '@swc/core'

const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

for (const source of globSync(['libs/*/src/**/*.ts', 'db/src/**/*.ts', 'services/*/src/**/*.ts'])) {
  const compiled = source.replace('/src/', '/dist/').replace(/\.ts$/, '.js')
  if (source.endsWith('.d.ts') || source.startsWith('libs/page/')) continue
  // Another program's sources are copied, too, but it is not here.
  if (!existsSync(source.replace(/\/src\/.*/, '/dist')) || time(compiled) >= time(source)) continue
  const { code } = await transformFile(source, { configFile: '.swcrc', sourceMaps: false })
  mkdirSync(dirname(compiled), { recursive: true })
  writeFileSync(compiled, code)
  console.log(compiled)
}

// The page is bundled; only the API's image has what that takes.
const page = 'libs/page/dist/index.html'
const changed = globSync('libs/page/src/**/*.*').some((source) => time(source) > time(page))
if (existsSync(page) && changed) {
  execFileSync(process.execPath, ['libs/page/build.mjs'], { stdio: 'inherit' })
  console.log(page)
}
