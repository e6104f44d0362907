import { afterEach, describe, expect, it } from '@jest/globals'
import { folders } from './home.ts'
import { objectStoreEnv, objectStoreRows, requireObjectStore } from './object-store.ts'

const facts = {
  url: 'http://127.0.0.1:7071',
  region: 'us-east-1',
  bucket: 'rates-inbox',
  accessKeyId: 'rates',
  accessKeyIdFile: `${folders.objectStoreKeys}/id`,
  secretFile: `${folders.objectStoreKeys}/secret`,
}

const before = { ...process.env }
afterEach(() => void (process.env = { ...before }))

describe('objectStoreEnv', () => {
  it('sets the services to the store, and to none where there is none', () => {
    expect(objectStoreEnv(facts)).toEqual({
      OBJECT_BUCKETS: 'rates-inbox',
      S3_ENDPOINT: 'http://127.0.0.1:7071',
      S3_REGION: 'us-east-1',
      S3_ACCESS_KEY_ID_FILE: `${folders.objectStoreKeys}/id`,
      S3_SECRET_ACCESS_KEY_FILE: `${folders.objectStoreKeys}/secret`,
    })
    expect(objectStoreEnv(undefined)).toEqual({})
  })
})

describe('objectStoreRows', () => {
  it('show where files go and how, without the key itself', () => {
    expect(objectStoreRows(facts)).toEqual([
      ['inbox', 'http://127.0.0.1:7071/rates-inbox: each file put here becomes a batch'],
      [
        '  put',
        'curl --aws-sigv4 aws:amz:us-east-1:s3 --user "rates:$(cat .rates/object-store-keys/secret)" -H \'x-amz-content-sha256: UNSIGNED-PAYLOAD\' -T prices.csv http://127.0.0.1:7071/rates-inbox/',
      ],
    ])
    expect(objectStoreRows(undefined)).toEqual([])
  })
})

describe('requireObjectStore', () => {
  it.each([{ KAFKA_TLS: 'true' }, { KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'a', KAFKA_PASSWORD: 'b' }])(
    'says so where the Kafka that is given lets nobody in with %j missing',
    async (security) => {
      Object.assign(process.env, { KAFKA_BROKERS: 'there:9093' }, security)
      await expect(requireObjectStore()).rejects.toThrow(/neither TLS nor a login[^]*Without --object-store/)
    },
  )

  it('says what else to do where the program that is named is none', async () => {
    await expect(requireObjectStore('/nowhere/versitygw')).rejects.toThrow(
      /"\/nowhere\/versitygw --version".*VERSITYGW_BIN/s,
    )
  })
})
