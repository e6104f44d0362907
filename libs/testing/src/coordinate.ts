type Coordinate = 'RATES_TEST_DATABASE_URL' | 'RATES_TEST_TEMPLATE' | 'RATES_TEST_BROKERS' | 'RATES_TEST_ON_DEMAND'

/** Where a test server is, as jest-setup.mjs has told it. */
export function coordinate(name: Coordinate): string {
  const value = process.env[name]
  if (value === undefined) {
    throw new Error(`${name} is not set: tests that need a server are named *.integration.test.ts or *.e2e.test.ts`)
  }
  return value
}
