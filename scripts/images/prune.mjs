// Takes out of node_modules what no program reads at run time. Run in an image's build, where node_modules is.
//   node prune.mjs [PACKAGE...]     packages that are left out altogether
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** What packages bring for browsers, bundlers and compilers; Node loads their other copy. */
const unused = [
  'typeorm/browser',
  'rxjs/dist/bundles',
  'rxjs/dist/esm',
  'rxjs/dist/esm5',
  'rxjs/dist/types',
  'rxjs/src',
  'zod/src',
  'dayjs/esm',
  ...['@aws-sdk', '@smithy'].flatMap((scope) =>
    list(scope).flatMap((name) => [`${scope}/${name}/dist-es`, `${scope}/${name}/dist-types`]),
  ),
  // The page of the API's documentation loads one script and one style sheet.
  ...list('swagger-ui-dist')
    .filter((name) => /\.(js|html|css)$/.test(name) && !/^(swagger-ui-bundle\.js|swagger-ui\.css)$/.test(name))
    .map((name) => `swagger-ui-dist/${name}`),
]

/** Beside a package.json; deeper ones may be code. */
const unusedFolder = /^(tests?|__tests__|docs?|examples?|bench|benchmarks?|\.github)$/
/** Types, sources, maps of what others have compiled, and texts but for licences. */
const unusedFile = /\.(ts|mts|cts|tsx|map|flow|md|markdown|tsbuildinfo)$/i
const kept = /^(licen[cs]e|notice|copying)/i

for (const path of [...unused, ...process.argv.slice(2)]) remove(join('node_modules', path))
prune('node_modules')

function prune(folder) {
  const names = readdirSync(folder)
  const isPackage = names.includes('package.json')
  for (const name of names) {
    const path = join(folder, name)
    const found = lstatSync(path)
    if (found.isDirectory() && isPackage && unusedFolder.test(name)) remove(path)
    else if (found.isDirectory()) prune(path)
    else if (found.isFile() && unusedFile.test(name) && !kept.test(name)) remove(path)
  }
}

function remove(path) {
  rmSync(path, { recursive: true, force: true })
}

function list(folder) {
  try {
    return readdirSync(join('node_modules', folder))
  } catch {
    return [] // this program does without
  }
}
