import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Certified {
  /** PEM files. */
  key: string
  certificate: string
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** A certificate authority of a test's own, in files that begin with its name. Needs the program openssl. */
export async function makeCa(folder: string, name: string): Promise<Certified> {
  const made = { key: join(folder, `${name}.key`), certificate: join(folder, `${name}.crt`) }
  const out = ['-keyout', made.key, '-out', made.certificate]
  await run('openssl', ['req', '-x509', ...NEW_KEY, ...out, '-days', '2', '-subj', `/CN=${name}`])
  return made
}

/** A server's certificate by that authority. `alternatives` as `DNS:localhost`. */
export async function certify(folder: string, ca: Certified, name: string, alternatives: string): Promise<Certified> {
  const made = { key: join(folder, `${name}.key`), certificate: join(folder, `${name}.crt`) }
  const request = join(folder, `${name}.csr`)
  const more = join(folder, `${name}.ext`)
  await writeFile(more, `subjectAltName=${alternatives}\n`)
  await run('openssl', ['req', ...NEW_KEY, '-keyout', made.key, '-out', request, '-subj', `/CN=${name}`])
  const by = ['-CA', ca.certificate, '-CAkey', ca.key, '-CAcreateserial']
  const about = ['-in', request, '-out', made.certificate, '-days', '2', '-extfile', more]
  await run('openssl', ['x509', '-req', ...by, ...about])
  return made
}

/** Key and certificate in one text, as Kafka takes them. */
export const together = async ({ key, certificate }: Certified): Promise<string> =>
  (await readFile(key, 'utf8')) + (await readFile(certificate, 'utf8'))
