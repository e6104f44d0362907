import { sha256 } from './compression.ts'

/** The id of the batch that an object is where nobody names one: the same object is the same batch. */
export const objectBatchId = ({ bucket, key, etag }: { bucket: string; key: string; etag: string }): string =>
  `object-${sha256(Buffer.from(JSON.stringify([bucket, key, etag])))
    .toString('hex')
    .slice(0, 40)}`
