import { freshFile } from './fresh-file.ts'
import { type ObjectStore } from './object-store.ts'

/** How a store is reached. */
export interface S3Settings {
  /** Of a store that is not Amazon's. */
  endpoint?: string | undefined
  region: string
  /** A function is asked at each use. Without them: as Amazon's own programs find some (workload identity). */
  credentials?: S3Credentials | (() => S3Credentials) | undefined
  /** The store's certificate has to be by this CA, whose file is read anew at each connection. */
  caFile?: string | undefined
}

export interface S3Credentials {
  accessKeyId: string
  secretAccessKey: string
}

export interface ObjectStoreSettings {
  S3_ENDPOINT?: string | undefined
  S3_REGION: string
  S3_ACCESS_KEY_ID_FILE?: string | undefined
  S3_SECRET_ACCESS_KEY_FILE?: string | undefined
  S3_CA_FILE?: string | undefined
}

/** What settings that loadConfig() has checked say of it. */
export function s3Settings(settings: ObjectStoreSettings): S3Settings {
  const { S3_ACCESS_KEY_ID_FILE: id, S3_SECRET_ACCESS_KEY_FILE: secret } = settings
  return {
    endpoint: settings.S3_ENDPOINT,
    region: settings.S3_REGION,
    caFile: settings.S3_CA_FILE,
    credentials: id === undefined || secret === undefined ? undefined : fromFiles(freshFile(id), freshFile(secret)),
  }
}

const fromFiles = (id: () => string, secret: () => string) => (): S3Credentials => ({
  accessKeyId: id(),
  secretAccessKey: secret(),
})

/** Loads the SDK only here: it costs 40 MB, which a service without a store does without. */
export async function openObjectStore(settings: ObjectStoreSettings): Promise<ObjectStore> {
  const { S3ObjectStore } = await import('./object-store-s3.ts')
  return new S3ObjectStore(s3Settings(settings))
}
