import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { run } from './programs.ts'
import { type ClusterSettings } from './settings.ts'

/** Builds images from those of the run with further files, and brings them to the cluster. */
export async function derivedImages(
  { imageLoader, repository, tag }: ClusterSettings,
  newTag: string,
  files: Record<string, string>,
): Promise<void> {
  if (imageLoader === undefined) throw new Error('an image has to be built: tell how, by --image-loader')
  const folder = await mkdtemp(path.join(tmpdir(), 'rates-images-'))
  try {
    const entries = Object.entries(files)
    for (const [i, [, content]] of entries.entries()) await writeFile(path.join(folder, `file-${i}`), content)
    for (const name of ['rates-api', 'ingest']) {
      const copies = entries.map(([target], i) => `COPY file-${i} ${target}`)
      const dockerfile = path.join(folder, `Dockerfile.${name}`)
      await writeFile(dockerfile, [`FROM ${repository}/${name}:${tag}`, ...copies, ''].join('\n'))
      const [program, ...args] = imageLoader.split(' ')
      await run(program!, [...args, `${repository}/${name}:${newTag}`, dockerfile, folder])
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
