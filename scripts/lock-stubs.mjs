// Optional packages for platforms that the registry in use does not serve are missing from the lock, and `npm ci`
// refuses such a lock. This adds a stub for each; run it after every `npm install` that changed a version.
import { readFileSync, writeFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${path}/node_modules/${name}`]) continue
    const os = /darwin|linux|win32|freebsd|android|openharmony/.exec(name)?.[0]
    if (!os || !/^\d/.test(version)) {
      console.log('left', path, name, version)
      continue
    }
    const cpu = /arm64|x64|ia32|arm|ppc64|s390x|riscv64|loong64/.exec(name.replace(os, ''))?.[0]
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu && { cpu: [cpu] }),
      ...(entry.dev && { dev: true }),
      optional: true,
      os: [os],
    }
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
